package walk_test

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/walk"
)

var update = flag.Bool("update", false, "write what is printed now into testdata")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 751416000, time.UTC)

// event makes one of a checkpoint, some time after noon.
func event(cp probe.Checkpoint, after time.Duration, edit func(*probe.Event)) *probe.Event {
	e := &probe.Event{Time: noon.Add(after).UnixNano(), Checkpoint: cp, Kind: probe.KindData, Proto: probe.ProtoTCP, Peer: 1,
		InnerLen: 60, OuterLen: 96, Receiver: 0x1a2b3c4d, Counter: 7, PrefixBits: 0}
	a, b := probe.AddrFrom(netip.MustParseAddr("10.0.0.1")), probe.AddrFrom(netip.MustParseAddr("192.168.200.22"))
	hub := probe.AddrFrom(netip.MustParseAddr("203.0.113.2"))
	e.InnerSrc, e.InnerSrcPort, e.InnerDst, e.InnerDstPort = a, 45734, b, 80
	e.OuterDst, e.OuterDstPort = hub, 51820
	e.Seam = probe.SeamUDPSend
	if cp == probe.A3 || cp >= probe.A5 {
		e.InnerSrc, e.InnerSrcPort, e.InnerDst, e.InnerDstPort = b, 80, a, 45734
		e.OuterSrc, e.OuterSrcPort = hub, 51820
		e.Seam = probe.SeamUDPReceive
	}
	if edit != nil {
		edit(e)
	}
	return e
}

const (
	hub  = "203.0.113.2:51820"
	here = "192.0.2.2:51821"
)

// healthy are the facts of a full tunnel's walk that ended well.
func healthy() *walk.Facts {
	postrouting := evidence.Visit{Hook: "postrouting", Chain: "ip wg-quick-wg0 postmangle (filter hook postrouting priority -150, policy accept)",
		Verdict: "policy accept", Lines: []string{"policy accept"}}
	marked := postrouting
	marked.Lines = []string{"postmangle handle 5: meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark -> continue", "policy accept"}
	restored := evidence.Visit{Hook: "prerouting", Chain: "ip wg-quick-wg0 premangle (filter hook prerouting priority -150, policy accept)",
		Verdict: "policy accept", Lines: []string{"premangle handle 6: meta l4proto udp meta mark set ct mark -> continue, mark 0xca6c", "policy accept"}}
	input := evidence.Visit{Hook: "input", Chain: "inet filter input (filter hook input priority 0, policy drop)", Verdict: "accept",
		Lines: []string{"input handle 9: jump global -> jump global", "global handle 2: ct state established,related accept -> accept"}}
	f := &walk.Facts{Interface: "wg0", Target: "192.168.200.22:80", Peer: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", PeerName: "gateway",
		Packet: "tcp 10.0.0.1:45734 > 192.168.200.22:80, 60 bytes",
		Inner: &evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "wg0",
			Text: "default dev wg0 table 51820 scope link", By: "32765: not from all fwmark 0xca6c lookup 51820",
			Steps: []string{"0: from all lookup local -> no route",
				"32764: from all lookup main suppress_prefixlength 0 -> default via 192.0.2.1 dev eth0: suppressed: prefix length 0 <= 0",
				"32765: not from all fwmark 0xca6c lookup 51820: applies: mark 0x0 is not 0xca6c -> default dev wg0 table 51820 scope link"}},
		Outer: &evidence.RouteDecision{Kind: evidence.RouteFound, Interface: "eth0", Mark: 0xca6c,
			Text: "default via 192.0.2.1 dev eth0", By: "32766: from all lookup main",
			Neighbor: &evidence.Neighbor{Evidence: "ip -4 neigh show 192.0.2.1 dev eth0: 192.0.2.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE"}},
		Out:  &evidence.Traversal{Packet: "tcp 10.0.0.1:45734 > 192.168.200.22:80, 60 bytes", Out: "wg0", Passed: "postrouting", Visits: []evidence.Visit{postrouting}},
		Sent: &evidence.Traversal{Packet: "udp " + here + " > " + hub + ", 124 bytes", Out: "eth0", Passed: "postrouting", Visits: []evidence.Visit{marked}},
		Received: &evidence.Traversal{Packet: "udp " + hub + " > " + here + ", 124 bytes", In: "eth0", Passed: "input", Visits: []evidence.Visit{restored, input},
			Source: &evidence.SourceCheck{Dst: netip.MustParseAddr("192.0.2.2"), Own: true, Setting: "net.ipv4.conf.all.rp_filter = 1 (strict)",
				Evidence: []string{"the way back to 203.0.113.2 leads out of eth0, where the packet came in"}}},
		In: &evidence.Traversal{Packet: "tcp 192.168.200.22:80 > 10.0.0.1:45734, 60 bytes", In: "wg0", Passed: "input", Visits: []evidence.Visit{input},
			Source: &evidence.SourceCheck{Dst: netip.MustParseAddr("10.0.0.1"), Own: true,
				Evidence: []string{"the way back to 192.168.200.22 leads out of wg0, where the packet came in"}}},
		Answer: walk.Answer{Answered: true, Text: "answered", Took: 1510 * time.Microsecond},
	}
	f.Seen[probe.A1] = event(probe.A1, 0, nil)
	f.Seen[probe.A4] = event(probe.A4, 30*time.Microsecond, nil)
	f.Seen[probe.A5] = event(probe.A5, 1200*time.Microsecond, nil)
	f.Seen[probe.A6] = event(probe.A6, 1230*time.Microsecond, nil)
	return f
}

// dropped are those of one whose reply an input rule drops, after a handshake.
func dropped() *walk.Facts {
	f := healthy()
	f.Seen[probe.A2] = event(probe.A2, 10*time.Microsecond, func(e *probe.Event) { e.Kind, e.OuterLen, e.Sender = probe.KindInitiation, 148, 0x01020304 })
	f.Seen[probe.A3] = event(probe.A3, 20*time.Microsecond, func(e *probe.Event) { e.Kind, e.OuterLen, e.Sender = probe.KindResponse, 92, 0x1a2b3c4d })
	f.Initiation = &evidence.Traversal{Packet: "udp " + here + " > " + hub + ", 176 bytes", Out: "eth0", Passed: "postrouting", Visits: f.Sent.Visits}
	f.Response = &evidence.Traversal{Packet: "udp " + hub + " > " + here + ", 120 bytes", In: "eth0", Passed: "input", Visits: f.Received.Visits}
	rule := "input handle 7: iifname \"wg0\" tcp sport 80 drop"
	chain := "inet filter input (filter hook input priority 0, policy drop)"
	f.In.Passed, f.In.Drop = "", &evidence.Drop{Hook: "input", Chain: chain, Rule: "inet filter " + rule}
	f.In.Visits = []evidence.Visit{{Hook: "input", Chain: chain, Verdict: "drop", Lines: []string{rule + " -> drop"}}}
	f.Answer = walk.Answer{Text: "nothing came"}
	f.Limits = []string{"rules of legacy iptables (ip filter) are not traced; iptables-legacy-save lists them"}
	return f
}

// What programs and eyes get, to the letter.
func TestGolden(t *testing.T) {
	for name, facts := range map[string]*walk.Facts{"healthy": healthy(), "dropped": dropped()} {
		w := walk.Build(facts)
		text, err := json.MarshalIndent(w, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var back walk.Walk
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, &back); diff != "" {
			t.Errorf("%s changes on its way through JSON:\n%s", name, diff)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (go test -update writes it anew):\n%s", path, diff)
	}
}

// Where a walk ends, and what is said of it.
func TestEnds(t *testing.T) {
	type facts = walk.Facts
	until := func(f *facts, last probe.Checkpoint) { // what comes after it was not seen
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
	handshake := func(f *facts) {
		d := dropped()
		until(f, probe.A1)
		f.Seen[probe.A2], f.Initiation = d.Seen[probe.A2], d.Initiation
	}
	for _, c := range []struct {
		name   string
		edit   func(f *facts)
		place  walk.Place
		zone   walk.Zone
		status walk.Status // of that step
		says   string      // the outcome
	}{
		{"no route", func(f *facts) {
			until(f, 0)
			f.Inner, f.Out, f.Seen[probe.A1] = &evidence.RouteDecision{Kind: evidence.RouteNone, Text: "no route"}, nil, nil
		}, walk.Routing, walk.Application, walk.Lost, "lost at step 2, routing decision: no route"},
		{"past the tunnel", func(f *facts) { until(f, 0); f.Inner.Interface, f.Seen[probe.A1] = "eth0", nil },
			walk.Routing, walk.Application, walk.Lost, "step 2"},
		{"back into the tunnel by its mark", func(f *facts) {
			f.Inner.Interface, f.Rerouted = "eth0", &evidence.RouteDecision{Kind: evidence.RouteFound, Text: "default dev wg0", Interface: "wg0", Mark: 1}
		}, walk.Rerouting, walk.Application, walk.Pass, "the reply came back"},
		{"past it by its mark", func(f *facts) {
			until(f, 0)
			f.Rerouted, f.Seen[probe.A1] = &evidence.RouteDecision{Kind: evidence.RouteFound, Text: "default dev eth0", Interface: "eth0", Mark: 1}, nil
		}, walk.Rerouting, walk.Application, walk.Lost, "routing again: mark 0x1: default dev eth0"},
		{"output policy", func(f *facts) {
			until(f, 0)
			f.Seen[probe.A1], f.Out.Passed, f.Out.Drop = nil, "", &evidence.Drop{Hook: "output", Chain: "inet filter output"}
		}, walk.Output, walk.Application, walk.Lost, "dropped by the policy of inet filter output"},
		{"between the hooks", func(f *facts) {
			until(f, 0)
			f.Seen[probe.A1], f.Out.Passed, f.Out.Lost = nil, "", "output"
		}, walk.Postrouting, walk.Application, walk.Lost, "another part of the kernel"},
		{"between the hooks, perhaps", func(f *facts) {
			until(f, 0)
			f.Seen[probe.A1], f.Out.Passed, f.Out.Lost, f.Out.Incomplete = nil, "", "output", true
		}, walk.Postrouting, walk.Application, walk.Unknown, "last seen at step 3, output"},
		{"allowed ips", func(f *facts) {
			until(f, probe.A1)
			f.Seen[probe.A1].Reason, f.Peer, f.PeerName, f.Outer = probe.NoAllowedIPsMatch, "", "", nil
		}, walk.Cryptokey, walk.Tunnel, walk.Lost, "no peer's AllowedIPs"},
		{"in the device", func(f *facts) {
			until(f, probe.A4)
			f.Sent, f.Seen[probe.A4].Reason = nil, probe.StagedOverflow
		}, walk.Encapsulate, walk.Tunnel, walk.Lost, "staged-overflow"},
		{"no handshake leaves", func(f *facts) { until(f, probe.A1) }, walk.Encapsulate, walk.Tunnel, walk.Unknown, "waits in the device for a handshake"},
		{"into itself", func(f *facts) { until(f, probe.A4); f.Outer.Interface = "wg0" }, walk.Routing, walk.Network, walk.Lost, "step 7"},
		{"encrypted output", func(f *facts) {
			until(f, probe.A4)
			f.Sent.Passed, f.Sent.Drop, f.SendError = "", &evidence.Drop{Hook: "output", Rule: "inet t c handle 1: drop"}, "operation not permitted"
		}, walk.Output, walk.Network, walk.Lost, "inet t c handle 1: drop"},
		{"neighbour", func(f *facts) { until(f, probe.A4); f.Outer.Neighbor.Unreachable = true }, walk.Wire, walk.Network, walk.Lost, "the next hop does not answer on eth0"},
		{"icmp", func(f *facts) { until(f, probe.A4); f.NetworkError = "icmp-port-unreachable from 203.0.113.2" },
			walk.Wire, walk.Network, walk.Lost, "port-unreachable from 203.0.113.2"},
		{"silence", func(f *facts) { until(f, probe.A4) }, walk.Wire, walk.Network, walk.Lost, "nothing came back"},
		{"silence after an initiation", handshake, walk.Wire, walk.Network, walk.Lost, "nothing came back"},
		{"preshared key", func(f *facts) {
			handshake(f)
			d := dropped()
			f.Seen[probe.A3], f.Response = d.Seen[probe.A3], d.Response
			f.Seen[probe.A3].Reason = probe.ResponseRejected
		}, walk.Decrypt, walk.Tunnel, walk.Lost, "preshared keys differ"},
		{"source check", func(f *facts) {
			until(f, probe.A4)
			f.Received = &evidence.Traversal{Packet: "udp", In: "eth0", Lost: "prerouting", Source: &evidence.SourceCheck{Drops: true, Evidence: []string{"rp_filter drops it"}}}
		}, walk.SourceCheck, walk.Network, walk.Lost, "rp_filter drops it"},
		{"source check, unexplained", func(f *facts) {
			until(f, probe.A4)
			f.Received = &evidence.Traversal{Packet: "udp", In: "eth0", Lost: "prerouting", Source: &evidence.SourceCheck{Evidence: []string{"passes"}}}
		}, walk.SourceCheck, walk.Network, walk.Lost, "no rule dropped it, routing did"},
		{"disallowed source", func(f *facts) {
			until(f, probe.A5)
			f.Seen[probe.A5].Reason = probe.DisallowedSource
		}, walk.Decrypt, walk.Tunnel, walk.Lost, "the source 192.168.200.22 is not in the AllowedIPs of peer gateway"},
		{"behind the tunnel", func(f *facts) {
			f.InnerError, f.Answer = "ICMP error from 10.0.0.2, type 3 code 1", walk.Answer{Text: "no route to host"}
		}, walk.App, walk.Application, walk.Lost, "lost behind the tunnel: ICMP error from 10.0.0.2"},
		{"blind, well", func(f *facts) {
			f.Blind, f.Out, f.In, f.Sent, f.Received = "no privileges", nil, nil, nil, nil
		}, walk.Output, walk.Network, walk.Pass, "the reply came back"},
		{"blind, not well", func(f *facts) {
			until(f, probe.A4)
			f.Blind, f.Out, f.Sent = "no privileges", nil, nil
		}, walk.Postrouting, walk.Network, walk.Unknown, "last seen at step 7, routing decision, mark 0xca6c; then not visible: no privileges"},
		{"stack", func(f *facts) { f.Stack, f.Inner, f.Out, f.In = true, nil, nil, nil },
			walk.Stack, walk.Application, walk.Pass, "the reply came back"},
	} {
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

// orderly checks what holds for every walk: passed, then lost or hidden, then not
// reached.
func orderly(t *testing.T, w *walk.Walk) {
	t.Helper()
	rank := map[walk.Status]int{walk.Pass: 0, walk.Lost: 1, walk.Unknown: 1, walk.NotReached: 2}
	for i := 1; i < len(w.Steps); i++ {
		a, b := &w.Steps[i-1], &w.Steps[i]
		if rank[a.Status] > rank[b.Status] || a.Status == walk.Lost && b.Status != walk.NotReached || b.Number != i+1 {
			t.Errorf("step %d is %s after %s", b.Number, b.Status, a.Status)
		}
		if b.Status == walk.NotReached && (b.Result != "" || len(b.Evidence) > 0) {
			t.Errorf("step %d says %q and was not reached", b.Number, b.Result)
		}
	}
}
