package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
)

// at is a story of a tunnel of which as much is known as a level tells.
func at(level probe.Level, side probe.Side) *story {
	s := tell(side)
	s.Level, s.c.Level = level, level
	return s
}

// inner is a packet of the flow between the tunnel and the host.
func inner(cp probe.Checkpoint, forth bool, flags uint8) probe.Event {
	e := probe.Event{Kind: probe.KindInner, Checkpoint: cp, Seam: cp.Seam(), Proto: probe.ProtoTCP, Info: flags, InnerLen: 60,
		InnerSrc: probe.AddrFrom(here.Addr()), InnerSrcPort: here.Port(), InnerDst: probe.AddrFrom(target.Addr()), InnerDstPort: target.Port()}
	if !forth {
		e.InnerSrc, e.InnerSrcPort, e.InnerDst, e.InnerDstPort = e.InnerDst, e.InnerDstPort, e.InnerSrc, e.InnerSrcPort
	}
	return e
}

// message is a message to the peer or of the peer's, of which it is not told what is in it.
func message(kind probe.Kind, cp probe.Checkpoint) probe.Event {
	e := probe.Event{Kind: kind, Checkpoint: cp, Seam: cp.Seam(), OuterLen: 128}
	if kind == probe.KindInitiation && cp == probe.B1 || cp == probe.A3 || cp == probe.A5 {
		e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(endpoint.Addr()), endpoint.Port()
	}
	return e
}

// completed has the kernel say that a handshake is complete.
func (s *story) completed() *story {
	collect.Refresh(s.Peer, collect.State{Endpoint: endpoint, Written: endpoint.String(), Established: s.at, Complete: true})
	return s
}

// heard has something authentic come from the peer.
func (s *story) heard() *story {
	s.Peer.Hear(s.at)
	return s
}

func (s *story) refused() *story {
	e := message(probe.KindInitiation, probe.B1)
	e.Reason = probe.InitiationRefused
	return s.add(e)
}

func TestLevels(t *testing.T) {
	request, reply := inner(probe.A1, true, probe.TCPSyn), inner(probe.A6, false, probe.TCPSyn|probe.TCPAck)
	sent, answered := inner(probe.A4, true, probe.TCPSyn), inner(probe.B7, false, probe.TCPSyn|probe.TCPAck)
	sent.Kind = probe.KindData
	data, call, response := message(probe.KindData, probe.A4), message(probe.KindInitiation, probe.A2), message(probe.KindResponse, probe.A3)
	accepted := response
	accepted.Seam = probe.SeamDevice
	out := inner(probe.B4, true, probe.TCPSyn)
	disallowed, reversed := out, reply
	disallowed.Reason, reversed.Reason = probe.DisallowedSource, probe.DisallowedSource
	const exact, half, copied = probe.LevelExact, probe.LevelHalf, probe.LevelCapture
	later := func(s *story, d time.Duration) *story { s.at = s.at.Add(d); return s }
	earlier := func(s *story, d time.Duration) *story { return later(s, -d) }
	for _, c := range []struct {
		name          string
		s             *story
		code          diagnose.Code
		sure, settled bool
		says          string // in the summary or the evidence
	}{
		{"no reply, and the kernel has not asked yet", at(exact, probe.SideA).add(request).add(sent), diagnose.NoReply, false, false,
			"asks it for a new session after 15 s"},
		{"no reply, and the peer was heard", later(at(exact, probe.SideA).add(request).add(sent), time.Second).heard(),
			diagnose.NoReply, false, true, "was heard meanwhile"},
		{"no reply, and the kernel had no reason to ask", earlier(at(exact, probe.SideA), 10*time.Second).add(request).add(sent),
			diagnose.NoReply, false, true, ""},
		{"no reply, of wgnode's device", at(probe.LevelDevice, probe.SideA).add(request).add(sent), diagnose.NoReply, false, true, ""},
		{"a handshake, as the kernel's functions tell", at(exact, probe.SideA).add(request).add(call).add(response).add(accepted).add(sent),
			diagnose.NoReply, false, true, "a handshake was completed meanwhile"},
		{"no reply, by copies", at(copied, probe.SideA).add(request).add(data), diagnose.NoReply, false, false,
			"level capture does not show which of them has the packet"},
		{"data before the packet", at(copied, probe.SideA).add(data).add(request), diagnose.Idle, false, false, ""},
		{"no answer, by copies", at(copied, probe.SideA).add(request).add(call).add(call), diagnose.NoResponse, false, true, ""},
		{"copies of answers", at(copied, probe.SideA).add(request).add(call).add(response).add(call).add(response),
			diagnose.PSKMismatch, false, true, "copies of 2 responses"},
		{"copies of answers that were taken", at(half, probe.SideA).add(request).add(call).add(response).completed().add(data),
			diagnose.NoReply, false, true, "a handshake was completed meanwhile"},
		{"copies of answers, and a handshake that the peer began", at(copied, probe.SideA).add(request).add(call).completed().add(data),
			diagnose.NoReply, false, true, ""},
		{"answered, by copies", at(copied, probe.SideB).add(out).add(answered).add(message(probe.KindData, probe.B8)), diagnose.Healthy,
			false, true, "which of them has the reply"},
		{"one initiation refused", at(exact, probe.SideB).refused(), diagnose.Idle, false, false, ""},
		{"initiations refused", at(exact, probe.SideB).refused().refused(), diagnose.HandshakeReplay, false, true, "without a reason"},
		{"initiations refused, and then taken", at(exact, probe.SideB).refused().refused().add(message(probe.KindInitiation, probe.B1)).
			add(message(probe.KindResponse, probe.B2)).add(out), diagnose.NoReplyFromDestination, false, false, ""},
		{"source not allowed, as the kernel delivers", at(exact, probe.SideB).add(disallowed), diagnose.DisallowedSource, true, true, ""},
		{"source of the reply not allowed", at(exact, probe.SideA).add(request).add(sent).add(reversed), diagnose.DisallowedSource,
			true, true, ""},
	} {
		v, settled := c.s.judge()
		if v.Code != c.code || v.Certain != c.sure || settled != c.settled {
			t.Errorf("%s: %s, certain %t, settled %t: %s %q", c.name, v.Code, v.Certain, settled, v.Summary, v.Evidence)
		}
		if !strings.Contains(v.Summary+strings.Join(evidence.Texts(v.Evidence), "\n"), c.says) {
			t.Errorf("%s: does not say %q: %s %q", c.name, c.says, v.Summary, v.Evidence)
		}
		for _, r := range c.s.Ladder(&v, now) {
			told := r.Checkpoint == probe.A4 || r.Checkpoint == probe.B8
			if c.s.Level == copied && r.Status == diagnose.Unknown && told && !strings.Contains(r.Detail, "level capture") {
				t.Errorf("%s: %s says %q", c.name, r.Checkpoint, r.Detail)
			}
		}
	}
}

// What anybody can send in the name of a peer changes nothing of what copies tell of it.
func TestCopiesAreNoProof(t *testing.T) {
	keepalive := message(probe.KindKeepalive, probe.A5)
	s := at(probe.LevelCapture, probe.SideA).add(message(probe.KindInitiation, probe.A2)).add(keepalive).
		add(message(probe.KindInitiation, probe.A2)).add(message(probe.KindResponse, probe.A3)).add(message(probe.KindCookie, probe.A3))
	h := &s.Peer.Handshake
	if h.EstablishedNow || h.Sent != 2 || h.Answers != 1 || h.Cookies != 0 || !s.Peer.Heard.IsZero() {
		t.Errorf("%+v, heard %v", h, s.Peer.Heard)
	}
	// What is older than the handshake that the kernel calls complete is of that, or before.
	if s.completed(); h.Sent != 0 || h.Answers != 0 || !h.EstablishedNow {
		t.Errorf("completed: %+v", h)
	}
	s.at = s.at.Add(-time.Second)
	if s.add(message(probe.KindInitiation, probe.A2)); h.Sent != 0 {
		t.Errorf("an old one counts: %+v", h)
	}
}

// Where it is not known who has set an endpoint, NAT may have forgotten the peer that is said to
// be silent, or to have a closed port there.
func TestUnplaced(t *testing.T) {
	s := at(probe.LevelExact, probe.SideA).asks().calls().icmp(probe.ICMPPortUnreachable, "203.0.113.2")
	if v, _ := s.judge(); v.Code != diagnose.EndpointPortClosed || !v.Certain {
		t.Errorf("set: %s, certain %t", v.Code, v.Certain)
	}
	s.Peer.Unplaced = true
	v, _ := s.judge()
	if v.Code != diagnose.EndpointPortClosed || v.Certain || v.Candidates[len(v.Candidates)-1].Code != diagnose.NoKeepalive {
		t.Errorf("not known: %s, certain %t: %+v", v.Code, v.Certain, v.Candidates)
	}
	if w := s.Peer.Whereabouts(); w.Origin != diagnose.OriginUnknown {
		t.Errorf("origin %s", w.Origin)
	}
}
