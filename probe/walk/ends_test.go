package walk_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/walk"
)

// until takes away what was seen after a checkpoint.
func until(f *walk.Facts, last probe.Checkpoint) {
	for cp := last + 1; cp <= probe.A6; cp++ {
		f.Seen[cp] = nil
	}
	f.In, f.Answer = nil, walk.Answer{Text: "nothing came"}
	if last < probe.A5 {
		f.Received = nil
	}
	if last < probe.A4 {
		f.Sent = nil
	}
}

// handshake leaves an initiation without a response.
func handshake(f *walk.Facts) {
	d := dropped()
	until(f, probe.A1)
	f.Seen[probe.A2], f.Initiation = d.Seen[probe.A2], d.Initiation
}

// toward is where routing sends marked packets.
func toward(link string) *evidence.RouteDecision {
	return &evidence.RouteDecision{Kind: evidence.RouteFound, Text: "default dev " + link, Interface: link, Mark: 1}
}

// stopped is a reply that got no further than routing, for the check of its source.
func stopped(check evidence.SourceCheck) *evidence.Traversal {
	return &evidence.Traversal{Packet: "udp", In: "eth0", Lost: "prerouting", Source: &check}
}

// ends are where a walk ends, and what is said of it.
var ends = []struct {
	name   string
	edit   func(f *walk.Facts)
	place  walk.Place
	zone   walk.Zone
	status walk.Status // of that step
	says   string      // the outcome
}{
	{name: "no route", edit: func(f *walk.Facts) {
		until(f, 0)
		f.Inner, f.Out, f.Seen[probe.A1] = &evidence.RouteDecision{Kind: evidence.RouteNone, Text: "no route"}, nil, nil
	}, place: walk.Routing, zone: walk.Application, status: walk.Lost,
		says: "lost at step 2, routing decision: no route"},
	{name: "past the tunnel", edit: func(f *walk.Facts) { until(f, 0); f.Inner.Interface, f.Seen[probe.A1] = "eth0", nil },
		place: walk.Routing, zone: walk.Application, status: walk.Lost,
		says: "step 2"},
	{name: "back into the tunnel by its mark", edit: func(f *walk.Facts) {
		f.Inner.Interface, f.Rerouted = "eth0", toward("wg0")
	}, place: walk.Rerouting, zone: walk.Application, status: walk.Pass,
		says: "the reply came back"},
	{name: "past it by its mark", edit: func(f *walk.Facts) {
		until(f, 0)
		f.Rerouted, f.Seen[probe.A1] = toward("eth0"), nil
	}, place: walk.Rerouting, zone: walk.Application, status: walk.Lost,
		says: "routing again: mark 0x1: default dev eth0"},
	{name: "output policy", edit: func(f *walk.Facts) {
		until(f, 0)
		f.Seen[probe.A1], f.Out.Passed, f.Out.Drop = nil, "", &evidence.Drop{Hook: "output", Chain: "inet filter output"}
	}, place: walk.Output, zone: walk.Application, status: walk.Lost,
		says: "dropped by the policy of inet filter output"},
	{name: "between the hooks", edit: func(f *walk.Facts) {
		until(f, 0)
		f.Seen[probe.A1], f.Out.Passed, f.Out.Lost = nil, "", "output"
	}, place: walk.Postrouting, zone: walk.Application, status: walk.Lost,
		says: "another part of the kernel"},
	{name: "between the hooks, perhaps", edit: func(f *walk.Facts) {
		until(f, 0)
		f.Seen[probe.A1], f.Out.Passed, f.Out.Lost, f.Out.Incomplete = nil, "", "output", true
	}, place: walk.Postrouting, zone: walk.Application, status: walk.Unknown,
		says: "last seen at step 3, output"},
	{name: "allowed ips", edit: func(f *walk.Facts) {
		until(f, probe.A1)
		f.Seen[probe.A1].Reason, f.Peer, f.PeerName, f.Outer = probe.NoAllowedIPsMatch, "", "", nil
	}, place: walk.Cryptokey, zone: walk.Tunnel, status: walk.Lost,
		says: "no peer's AllowedIPs"},
	{name: "in the device", edit: func(f *walk.Facts) {
		until(f, probe.A4)
		f.Sent, f.Seen[probe.A4].Reason = nil, probe.StagedOverflow
	}, place: walk.Encapsulate, zone: walk.Tunnel, status: walk.Lost,
		says: "staged-overflow"},
	{name: "no handshake leaves", edit: func(f *walk.Facts) { until(f, probe.A1) },
		place: walk.Encapsulate, zone: walk.Tunnel, status: walk.Unknown,
		says: "waits in the device for a handshake"},
	{name: "into itself", edit: func(f *walk.Facts) { until(f, probe.A4); f.Outer.Interface = "wg0" },
		place: walk.Routing, zone: walk.Network, status: walk.Lost,
		says: "step 7"},
	{name: "encrypted output", edit: func(f *walk.Facts) {
		until(f, probe.A4)
		f.Sent.Passed, f.Sent.Drop, f.SendError = "", &evidence.Drop{Hook: "output", Rule: "inet t c handle 1: drop"}, "operation not permitted"
	}, place: walk.Output, zone: walk.Network, status: walk.Lost,
		says: "inet t c handle 1: drop"},
	{name: "neighbor", edit: func(f *walk.Facts) { until(f, probe.A4); f.Outer.Neighbor.Unreachable = true },
		place: walk.Wire, zone: walk.Network, status: walk.Lost,
		says: "the next hop does not answer on eth0"},
	{name: "icmp", edit: func(f *walk.Facts) { until(f, probe.A4); f.NetworkError = "icmp-port-unreachable from 203.0.113.2" },
		place: walk.Wire, zone: walk.Network, status: walk.Lost,
		says: "port-unreachable from 203.0.113.2"},
	{name: "silence", edit: func(f *walk.Facts) { until(f, probe.A4) }, place: walk.Wire, zone: walk.Network, status: walk.Lost,
		says: "nothing came back"},
	{name: "silence after an initiation", edit: handshake, place: walk.Wire, zone: walk.Network, status: walk.Lost,
		says: "nothing came back"},
	{name: "preshared key", edit: func(f *walk.Facts) {
		handshake(f)
		d := dropped()
		f.Seen[probe.A3], f.Response = d.Seen[probe.A3], d.Response
		f.Seen[probe.A3].Reason = probe.ResponseRejected
	}, place: walk.Decrypt, zone: walk.Tunnel, status: walk.Lost,
		says: "preshared keys differ"},
	{name: "source check", edit: func(f *walk.Facts) {
		until(f, probe.A4)
		f.Received = stopped(evidence.SourceCheck{Drops: true, Evidence: []string{"rp_filter drops it"}})
	}, place: walk.SourceCheck, zone: walk.Network, status: walk.Lost,
		says: "rp_filter drops it"},
	{name: "source check, unexplained", edit: func(f *walk.Facts) {
		until(f, probe.A4)
		f.Received = stopped(evidence.SourceCheck{Evidence: []string{"passes"}})
	}, place: walk.SourceCheck, zone: walk.Network, status: walk.Lost,
		says: "no rule that can be traced dropped it, routing or another"},
	{name: "disallowed source", edit: func(f *walk.Facts) {
		until(f, probe.A5)
		f.Seen[probe.A5].Reason = probe.DisallowedSource
	}, place: walk.Decrypt, zone: walk.Tunnel, status: walk.Lost,
		says: "the source 192.168.200.22 is not in the AllowedIPs of peer gateway"},
	{name: "behind the tunnel", edit: func(f *walk.Facts) {
		f.InnerError, f.Answer = "ICMP error from 10.0.0.2, type 3 code 1", walk.Answer{Text: "no route to host"}
	}, place: walk.App, zone: walk.Application, status: walk.Lost,
		says: "lost behind the tunnel: ICMP error from 10.0.0.2"},
	{name: "blind, well", edit: func(f *walk.Facts) {
		f.Blind, f.Out, f.In, f.Sent, f.Received = "no privileges", nil, nil, nil, nil
	}, place: walk.Output, zone: walk.Network, status: walk.Unknown,
		says: "the reply came back"},
	{name: "what is not traced", edit: func(f *walk.Facts) {
		until(f, probe.A4)
		f.Received = stopped(evidence.SourceCheck{Own: true, Evidence: []string{"passes"}})
	}, place: walk.Input, zone: walk.Network, status: walk.Lost,
		says: "though routing takes it in"},
	{name: "blind, not well", edit: func(f *walk.Facts) {
		until(f, probe.A4)
		f.Blind, f.Out, f.Sent = "no privileges", nil, nil
	}, place: walk.Postrouting, zone: walk.Network, status: walk.Unknown,
		says: "last seen at step 7, routing decision, mark 0xca6c; then not visible: no privileges"},
	{name: "stack", edit: func(f *walk.Facts) { f.Stack, f.Inner, f.Out, f.In = true, nil, nil, nil },
		place: walk.Stack, zone: walk.Application, status: walk.Pass,
		says: "the reply came back"},
}

func TestEnds(t *testing.T) {
	for _, c := range ends {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			c.edit(f)
			w := walk.Build(f)
			if !strings.Contains(w.Outcome.Summary, c.says) {
				t.Errorf("outcome %q does not say %q", w.Outcome.Summary, c.says)
			}
			ok := slices.ContainsFunc(w.Steps, func(s walk.Step) bool {
				return s.Place == c.place && s.Zone == c.zone && s.Status == c.status &&
					(c.status == walk.Pass || s.Number == w.Outcome.Step || c.status == walk.Unknown)
			})
			if !ok || w.Outcome.Answered != (w.Outcome.Step == 0) {
				t.Errorf("no step %s of %s is %s: %+v\n%+v", c.place, c.zone, c.status, w.Outcome, w.Steps)
			}
			if rtt := w.Outcome.RTT; w.Outcome.Answered && rtt != f.Answer.Took || !w.Outcome.Answered && rtt != 0 {
				t.Errorf("answered %t, after %v", w.Outcome.Answered, rtt)
			}
			orderly(t, w)
		})
	}
}

// orderly checks what holds for every walk: passed or hidden, then lost or hidden, then not
// reached. What is hidden and was passed is so because of what is seen later.
func orderly(t *testing.T, w *walk.Walk) {
	t.Helper()
	rank := map[walk.Status]int{walk.Pass: 0, walk.Lost: 1, walk.Unknown: 1, walk.NotReached: 2}
	later := false
	for i := len(w.Steps) - 1; i >= 0; i-- {
		s := &w.Steps[i]
		later = later || s.Status == walk.Pass
		if s.Status == walk.Unknown && strings.HasSuffix(s.Result, "it is seen later") != later && w.Outcome.Step != s.Number {
			t.Errorf("step %d says %q, seen later: %t", s.Number, s.Result, later)
		}
	}
	for i := 1; i < len(w.Steps); i++ {
		a, b := &w.Steps[i-1], &w.Steps[i]
		hidden := a.Status == walk.Unknown && strings.HasSuffix(a.Result, "it is seen later")
		if rank[a.Status] > rank[b.Status] && !hidden || a.Status == walk.Lost && b.Status != walk.NotReached || b.Number != i+1 {
			t.Errorf("step %d is %s after %s", b.Number, b.Status, a.Status)
		}
		if b.Status == walk.NotReached && (b.Result != "" || len(b.Evidence) > 0) {
			t.Errorf("step %d says %q and was not reached", b.Number, b.Result)
		}
	}
}
