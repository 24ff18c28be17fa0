// Package twosided finds the verdict on one flow from the facts of both of its hosts.
// What each side can only suspect, the two together as a rule know.
package twosided

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// Facts is what is known of one flow, or (without Flow) of the handshakes of two
// hosts, from both of them: the facts of each, and what became of messages between
// them. What each side can only suspect, the two together as a rule know.
type Facts struct {
	A, B         *diagnose.Facts // B is nil if that host was not heard
	NameA, NameB string
	EndA, EndB   time.Time // until when each was watched, by its own clock

	// Calls are A's initiations since its latest completed handshake, Answers the
	// responses to them.
	Calls, Answers Way
	// Forth and Back are the flow's data messages.
	Forth, Back Way
	// Untranslated: A's own address is what B sees.
	Untranslated bool
	// Apart is why the two cannot be compared; "" if they can.
	Apart string
}

// Way is what became of messages from one host to another.
type Way struct {
	Sent, Arrived int
	Lost          int // left, and did not arrive although the receiver was watched
	Unknown       int // left, and the receiver was not watched
	// Reasons is why the receiver refused what arrived.
	Reasons map[probe.Reason]int
	Latest  *probe.Event // that arrived, as it was received; nil if none
	// LatestReason is why the receiver refused that; none if it did not.
	LatestReason probe.Reason
	// LatestLost is when the last one that was lost was sent, by the receiver's
	// clock; zero if none was.
	LatestLost time.Time
}

// Judge finds the verdict. Its checkpoint is on either side; Where is as A sees it.
func (b *Facts) Judge() diagnose.Verdict {
	va, _ := rules.Judge(b.A, b.EndA)
	if b.B == nil || b.Apart != "" {
		v := b.on(va, true)
		if !v.Certain && v.Code != diagnose.Idle {
			why := b.Apart
			if why == "" {
				why = b.NameB + " was not recorded"
			}
			v.Evidence = append(v.Evidence, evidence.Inferred.Says("what only the other side can know is missing: %s", why))
		}
		return v
	}
	vb := diagnose.Verdict{Code: diagnose.Idle}
	if b.B.Peer != nil || b.B.Flow != nil {
		vb, _ = rules.Judge(b.B, b.EndB)
	}
	stuck := va.Code == diagnose.NoResponse || va.Code == diagnose.PSKMismatch && !va.Certain ||
		va.Code == diagnose.Idle && b.A.Peer != nil && b.A.Peer.Handshake.Sent > 0 && !b.seenA(probe.A4)
	switch {
	case va.Healthy() || va.Certain && va.Code != diagnose.Idle:
		v := b.on(va, true)
		v.Evidence = append(v.Evidence, b.tally()...)
		return v
	case stuck && !b.dataLost():
		return b.handshake(va, vb)
	case b.seenA(probe.A4), b.sentUntold():
		return b.data(va, vb)
	}
	return b.on(va, true)
}

// sentUntold reports whether A has sent the flow's packet, where it is not told there in which
// message: it has come to B.
func (b *Facts) sentUntold() bool {
	return b.A.Level.Copies() && b.seenA(probe.A1) && (b.seenB(probe.B3) || b.seenB(probe.B4))
}

func (b *Facts) seenA(cp probe.Checkpoint) bool { return b.A.Flow != nil && b.A.Flow.Seen[cp] != nil }
func (b *Facts) seenB(cp probe.Checkpoint) bool { return b.B.Flow != nil && b.B.Flow.Seen[cp] != nil }

// dataLost reports whether the flow's packets were sent in a session and are lost,
// as the calls for the next session are.
func (b *Facts) dataLost() bool {
	return b.seenA(probe.A4) && b.Forth.Arrived == 0 && b.Forth.Lost > 0 && b.Calls.Arrived == 0
}

// handshake judges between A2 and A3.
func (b *Facts) handshake(va, vb diagnose.Verdict) diagnose.Verdict {
	calls, answers := &b.Calls, &b.Answers
	switch {
	case calls.Arrived == 0 && b.firewalled(&vb, calls):
		return b.on(vb, false)
	case calls.Arrived == 0 && calls.Lost > 0:
		return b.lost(calls, probe.B1, "initiation")
	case calls.Arrived == 0:
		return b.unsure(va, evidence.Kernel.Says("%s was not recorded at the time, or its recording lacks events", b.NameB))
	}
	// What was refused before for another reason tells of a configuration that has changed since.
	if r := calls.LatestReason; r == probe.UnknownPeer || r == probe.InvalidMAC1 {
		s := diagnose.Stranger{Reason: r, Count: calls.Reasons[r], Last: calls.Latest, Key: b.A.PublicKey}
		s.From, _ = calls.Latest.Outer()
		v := rules.Stranger(b.B, &s) // found in both recordings by its index
		v.Evidence = append(v.Evidence, b.saw(calls, "initiation"))
		return b.on(v, false)
	}
	if n := calls.Reasons[probe.InitiationRefused]; n > 0 && n == calls.Arrived && b.B.Peer != nil {
		v := rules.Refused(b.B, n) // found in both recordings, so that nobody else has made them
		v.Evidence = append(v.Evidence, b.saw(calls, "initiation"))
		return b.on(v, false)
	}
	switch {
	case vb.Certain && !vb.Healthy() && vb.Code != diagnose.Idle &&
		slices.Contains([]probe.Checkpoint{probe.B2, probe.CheckpointNone, probe.A2}, vb.Checkpoint):
		vb.Evidence = append(vb.Evidence, b.saw(calls, "initiation"))
		return b.on(vb, false)
	case answers.Sent > 0 && answers.Arrived == 0 && answers.Lost > 0:
		return b.lost(answers, probe.A3, "response")
	case answers.Sent > 0 && answers.Arrived == 0:
		return b.unsure(va, evidence.Kernel.Says("%s answers, and what became of the answers is not known", b.NameB))
	case answers.Arrived > 0:
		return b.unsure(va, evidence.Kernel.Says("%s of %s arrived, and none was accepted", probe.Count(answers.Arrived, "response"), b.NameB))
	}
	return b.unsure(va, b.saw(calls, "initiation"), evidence.Kernel.Says("%s has not answered, and not said why", b.NameB))
}

// data judges between A4 and A6.
func (b *Facts) data(va, vb diagnose.Verdict) diagnose.Verdict {
	forth, back := &b.Forth, &b.Back
	arrived := forth.Arrived > 0 || b.seenB(probe.B3) || b.seenB(probe.B4)
	switch {
	case !arrived && b.firewalled(&vb, forth):
		vb.Checkpoint = probe.B3 // also if the latest that it dropped was a call
		return b.on(vb, false)
	case !arrived && forth.Lost > 0:
		return b.lost(forth, probe.B3, "data message")
	case !arrived:
		return b.unsure(va, evidence.Kernel.Says("%s was not recorded at the time, or its recording lacks events", b.NameB))
	case vb.Certain && !vb.Healthy() && vb.Code != diagnose.Idle:
		vb.Evidence = append(vb.Evidence, b.tally()...)
		return b.on(vb, false)
	case b.seenB(probe.B8) && back.Arrived == 0 && back.Lost > 0:
		return b.lost(back, probe.A5, "data message")
	case b.seenB(probe.B8):
		return b.unsure(va, append(b.tally(), evidence.Kernel.Says("%s has sent the reply", b.NameB))...)
	case b.seenB(probe.B4) && vb.Code == diagnose.NoReplyFromDestination:
		vb.Evidence = append(vb.Evidence, b.tally()...)
		return b.on(vb, false)
	}
	var why []evidence.Line
	if f := b.B.Flow; f != nil && f.Dropped != nil {
		d := f.Dropped
		why = append(why, evidence.Kernel.Says("%s has dropped the latest of them at %s: %s", b.NameB, d.Checkpoint, d.Reason))
	}
	return b.unsure(va, append(b.tally(), why...)...)
}

// dropAge is how much older what a kernel has dropped may be than the latest message that is
// lost: the clocks of two hosts.
const dropAge = time.Second

// firewalled reports whether B itself keeps messages from its tunnel, those of w.
func (b *Facts) firewalled(v *diagnose.Verdict, w *Way) bool {
	in := b.B.Kernel.On(evidence.FromWire)
	if d := in.KernelDrop; d != nil && in.Drop == nil && d.At.Before(w.LatestLost.Add(-dropAge)) {
		return false // later ones are lost elsewhere
	}
	switch v.Code {
	case diagnose.UnderlayInputFirewall:
		return v.Certain
	case diagnose.ReversePathFilter:
		return v.Certain && v.Checkpoint == probe.B2
	case diagnose.BPFDrop, diagnose.QueueFull, diagnose.SocketBufferFull, diagnose.Checksum:
		return v.Certain && (v.Checkpoint == probe.B1 || v.Checkpoint == probe.B2 || v.Checkpoint == probe.B3)
	}
	return false
}

// lost: messages leave one host and do not reach the other's socket. That it was on
// the way is certain only if the receiver's kernel was watched in full, and has neither seen
// them nor dropped any.
func (b *Facts) lost(w *Way, at probe.Checkpoint, what string) diagnose.Verdict {
	from, to, receiver, sender := b.NameA, b.NameB, b.B, b.A
	if at == probe.A3 || at == probe.A5 {
		from, to, receiver, sender = b.NameB, b.NameA, b.A, b.B
	}
	v := diagnose.Verdict{Code: diagnose.LostOnPath, Checkpoint: at, Where: diagnose.WherePath,
		Summary:  fmt.Sprintf("%s from %s do not reach %s: they are lost between the two", plural(what), from, to),
		Evidence: []evidence.Line{evidence.Kernel.Says("%d %s left %s, none of them arrived at %s", w.Sent, plural(what), from, to)}}
	if w.Unknown > 0 {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("of %d of them it is not known", w.Unknown))
	}
	k := receiver.Kernel
	in := receiver.Kernel.On(evidence.FromWire)
	seen := in.At
	if at == probe.B3 || at == probe.A5 {
		seen = in.DataAt // a handshake may come through all the same
	}
	none := k != nil && k.Blind == "" && (in.Packets == 0 || seen.Before(w.LatestLost))
	switch {
	case in.KernelDrop != nil:
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(diagnose.UnderlayInputFirewall, "on %s, wgnode drops shows what its kernel drops, and where", to),
			diagnose.Maybe(diagnose.LostOnPath,
				"on %s, tcpdump -ni any udp port %d shows whether they arrive: they do not if the path loses them", to, receiver.ListenPort)}
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s: %s; whether that is one of them is not known", to, in.KernelDrop))
	case none && len(k.Missed()) == 0:
		v.Evidence = append(v.Evidence, evidence.Kernel.Decides("%s: netfilter trace: none came as far as prerouting when "+
			"the latest of them was sent", to))
	case none: // something may have dropped them before that
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(diagnose.LostOnPath,
				"on %s, tcpdump -ni any udp port %d shows whether they arrive: they do not if the path loses them", to, receiver.ListenPort),
			diagnose.Maybe(diagnose.BPFDrop, "on %s, as root, wgnode drops shows what its kernel drops, and where", to)}
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s: netfilter trace: none came as far as prerouting when the latest of them was "+
			"sent; not looked at: %s", to, strings.Join(k.Missed(), "; ")))
	case k == nil || k.Blind != "":
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(diagnose.LostOnPath,
				"on %s, tcpdump -ni any udp port %d shows whether they arrive: they do not if the path loses them", to, receiver.ListenPort),
			diagnose.Maybe(diagnose.UnderlayInputFirewall,
				"on %s, nft list ruleset: does it drop what comes to udp port %d?", to, receiver.ListenPort),
			diagnose.Maybe(diagnose.ReversePathFilter, "on %s, nstat -az TcpExtIPReversePathFilter: does it grow?", to)}
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s: its own firewall was not watched", to))
	default:
		v.Candidates = []diagnose.Candidate{
			diagnose.Maybe(diagnose.LostOnPath,
				"on %s, tcpdump -ni any udp port %d shows whether they arrive", to, receiver.ListenPort),
			diagnose.Maybe(diagnose.UnderlayInputFirewall,
				"on %s, nft list ruleset: does it drop what comes to udp port %d from there?", to, receiver.ListenPort)}
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s: other messages for the tunnel's port did arrive", to))
	}
	if p := sender.Kernel.On(evidence.ToWire); p.Passed == "postrouting" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s: netfilter trace: they pass its rules and leave by %s", from, p.Out))
	}
	v.Fix = fix.Steps{fix.Notef("look for a firewall, or a NAT that has forgotten the two, between %s and %s: does it pass UDP to port %d?",
		from, to, receiver.ListenPort)}
	v.Evidence = append(v.Evidence, b.other(w)...)
	v.Weigh()
	return v
}

// other says what does get through, beside what is lost.
func (b *Facts) other(w *Way) []evidence.Line {
	var lines []evidence.Line
	for _, o := range []struct {
		w    *Way
		what string
	}{{&b.Calls, "initiation"}, {&b.Answers, "response"}, {&b.Forth, "data message"}, {&b.Back, "data message back"}} {
		if o.w != w && o.w.Arrived > 0 {
			lines = append(lines, evidence.Kernel.Says("%d %s did arrive", o.w.Arrived, plural(o.what)))
		}
	}
	return lines
}

// unsure keeps A's general verdict, with what the other side adds.
func (b *Facts) unsure(va diagnose.Verdict, more ...evidence.Line) diagnose.Verdict {
	v := b.on(va, true)
	v.Evidence = append(v.Evidence, more...)
	return v
}

// saw says what became of messages.
func (b *Facts) saw(w *Way, what string) evidence.Line {
	from := ""
	if w.Latest != nil {
		src, _ := w.Latest.Outer()
		from = fmt.Sprintf(", from %s as it sees it", src)
		if b.Untranslated {
			from += ": not translated on the path"
		}
	}
	return evidence.Kernel.Says("%d %s of %s arrived at %s%s", w.Arrived, plural(what), b.NameA, b.NameB, from)
}

// tally is evidence of what became of the flow's messages on both ways.
func (b *Facts) tally() []evidence.Line {
	var lines []evidence.Line
	for _, o := range []struct {
		w        *Way
		from, to string
	}{{&b.Forth, b.NameA, b.NameB}, {&b.Back, b.NameB, b.NameA}} {
		if o.w.Sent == 0 {
			continue
		}
		line := fmt.Sprintf("of %s from %s %d arrived at %s", probe.Count(o.w.Sent, "data message"), o.from, o.w.Arrived, o.to)
		if o.w.Lost > 0 {
			line += fmt.Sprintf(", %d were lost on the path", o.w.Lost)
		}
		if o.w.Unknown > 0 {
			line += fmt.Sprintf("; of %d it is not known", o.w.Unknown)
		}
		lines = append(lines, evidence.Kernel.Says("%s", line))
	}
	return lines
}

// on says whose verdict it is, now that there is more than one host.
func (b *Facts) on(v diagnose.Verdict, a bool) diagnose.Verdict {
	v.Weigh()
	v.Host = b.NameB
	if a {
		v.Host = b.NameA
	} else {
		v.Where = fromA[v.Where]
	}
	if v.Healthy() {
		v.Host = ""
		return v
	}
	v.Fix = v.Fix.On(v.Host)
	return v
}

// fromA turns where B sees a fault into where A does.
var fromA = map[diagnose.Where]diagnose.Where{diagnose.WhereHere: diagnose.WherePeer, diagnose.WherePath: diagnose.WherePath,
	diagnose.WherePeer: diagnose.WhereHere, diagnose.WhereBeyond: diagnose.WhereBeyond}

func plural(what string) string { return what + "s" }
