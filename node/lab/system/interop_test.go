//go:build linux

package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// What a watch prints for one event, as far as these tests look.
type watched struct {
	Seam       string `json:"seam"`
	Checkpoint string `json:"checkpoint"`
	Kind       string `json:"kind"`
	Verdict    string `json:"verdict"`
	PeerName   string `json:"peer_name"`
	Receiver   uint32 `json:"receiver"`
	Counter    uint64 `json:"counter"`
}

type messageID struct {
	receiver uint32
	counter  uint64
}

// startWatch watches a node and returns when the watch has begun.
func (s *site) startWatch(h *lab.Host) *lab.Proc {
	return h.Start(s.Wgnode, "watch", "wg0", "--json", "--past")
}

// events parses what a watch has printed, once it holds all checkpoints.
func (s *site) events(p *lab.Proc, checkpoints string) []watched {
	s.T.Helper()
	ctx := patience.Context(s.T)
	for _, checkpoint := range strings.Fields(checkpoints) {
		p.WaitOutput(ctx, fmt.Sprintf("%q:%q", "checkpoint", checkpoint))
	}
	return s.parseEvents(p.Output())
}

func (s *site) parseEvents(out string) (events []watched) {
	s.T.Helper()
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(line, "\n") {
			break // still being written
		}
		var e watched
		if err := sitetest.Decode(s.T, "watch", line, &e); err != nil {
			s.T.Fatalf("%v in %q", err, line)
		}
		events = append(events, e)
	}
	return events
}

// A node talks to wireguard-go as to itself, and shows every checkpoint.
func TestInterop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		nodeA, nodeH bool
	}{{"wgnode to wireguard-go", true, false}, {"wireguard-go to wgnode", false, true}, {"wgnode to wgnode", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, false)
			if c.nodeH {
				s.Up(s.H, s.ConfH)
			} else {
				s.Upstream(s.H, s.ConfH, "10.0.0.2/24", "10.0.0.1/32")
			}
			if c.nodeA {
				s.Up(s.A, s.ConfA)
			} else {
				s.Upstream(s.A, s.ConfA, "10.0.0.1/24", s.Addr.B.V4.Masked().String())
			}
			if out := s.A.Run("curl", "-sS", "http://"+s.Web()); !strings.Contains(out, "hello") {
				t.Errorf("curl: %q", out)
			}
			if c.nodeA {
				s.passed(s.events(s.startWatch(s.A), "A1 A2 A3 A4 A5 A6"), "gateway")
			}
			if c.nodeH {
				s.passed(s.events(s.startWatch(s.H), "B1 B2 B3 B4 B7 B8"), "alice")
			}
		})
	}
}

// passed checks that what has a checkpoint passed it, and names the peer.
func (s *site) passed(events []watched, peer string) {
	s.T.Helper()
	for _, e := range events {
		if e.Checkpoint != "" && (e.Verdict != "passed" || e.PeerName != peer) && e.Seam != "tun-read" {
			s.T.Errorf("%+v", e)
		}
	}
}

// Both hosts see the same messages: each data message that one sends the other
// receives, by receiver index and counter.
func TestHostsAgree(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	wa, wh := s.startWatch(s.A), s.startWatch(s.H)
	const fetches = 20
	for range fetches {
		s.A.Run("curl", "-sS", "http://"+s.Web())
	}
	s.events(wa, "A1 A2 A3 A4 A5 A6")
	s.events(wh, "B1 B2 B3 B4 B7 B8")
	// A last exchange, which both must have printed before they are compared.
	s.A.Ping("10.0.0.2")
	wa.WaitOutput(patience.Context(t), `"icmp_type":0`)
	wh.WaitOutput(patience.Context(t), `"icmp_type":0`)
	a, h := dataMessages(s.parseEvents(wa.Output())), dataMessages(s.parseEvents(wh.Output()))
	for _, d := range []struct {
		name     string
		sent, at map[messageID]bool
	}{{"A to H", a["udp-send"], h["udp-receive"]}, {"H to A", h["udp-send"], a["udp-receive"]}} {
		if len(d.sent) < 3*fetches {
			t.Errorf("%s: only %d messages", d.name, len(d.sent))
		}
		for id := range d.sent {
			if !d.at[id] {
				t.Errorf("%s: index %#x counter %d was sent and not received", d.name, id.receiver, id.counter)
			}
		}
		for id := range d.at {
			if !d.sent[id] {
				t.Errorf("%s: index %#x counter %d was received and not sent", d.name, id.receiver, id.counter)
			}
		}
	}
}

func dataMessages(events []watched) map[string]map[messageID]bool {
	m := map[string]map[messageID]bool{"udp-send": {}, "udp-receive": {}}
	for _, e := range events {
		if seen := m[e.Seam]; seen != nil && e.Kind == "data" {
			seen[messageID{e.Receiver, e.Counter}] = true
		}
	}
	return m
}
