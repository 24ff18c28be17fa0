package evidence_test

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

var update = flag.Bool("update", false, "write what is written now into testdata")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// first has a value in every field that version 1 had, as a host might have observed
// it.
func first() evidence.Observations {
	route := evidence.RouteDecision{Kind: evidence.RouteProhibited, Interface: "eth0", Gateway: netip.MustParseAddr("192.0.2.254"),
		Source: netip.MustParseAddr("192.0.2.1"), Local: true, Text: "prohibit default", By: "1000: from all lookup 7",
		Remove: "ip rule del", Beatable: true, Around: "ip route add ..."}
	by := func(hook string) evidence.Traversal {
		t := evidence.Traversal{Packets: 3, At: noon.Add(5), DataAt: noon.Add(4),
			Src: netip.MustParseAddrPort("192.0.2.1:51820"), Dst: netip.MustParseAddrPort("[2001:db8::2]:51820"), In: "wg0", Out: "eth0",
			Drop: &evidence.Drop{Hook: hook, Chain: "inet filter " + hook, Rule: "handle 7: drop", Reject: true, Data: true,
				Packet: "udp 192.0.2.1:51820 > 192.0.2.2:51820", Fix: []string{"nft insert rule ..."}},
			Lost: "prerouting", Passed: "output", XfrmBlocks: []evidence.XfrmBlock{{Text: "IPsec policy", Fix: "ip xfrm policy delete"}},
			Translated: "source a to b", Changed: "mark 0x0 to 0x1", ChangedBy: "rule 3", Spare: []string{"nft ..."}, Route: route,
			Source:     &evidence.SourceCheck{Drops: true, Evidence: []string{"rp_filter = 1"}, Fix: []string{"sysctl"}, Back: route},
			Forwarding: &evidence.Forwarding{On: true, Evidence: "forwarding = 1", Fix: []string{"sysctl -w"}},
			Conntrack:  &evidence.Conntrack{Text: "tcp", Unreplied: true, SNAT: true}}
		t.Route.Neighbor = &evidence.Neighbor{Addr: netip.MustParseAddr("192.0.2.254"), Link: "eth0", Unreachable: true, Evidence: "FAILED"}
		return t
	}
	return evidence.Observations{Target: netip.MustParseAddrPort("10.0.0.2:80"), Side: probe.SideB, Route: route,
		Kernel: &evidence.KernelEvidence{Blind: "no rights", Limits: []string{"legacy"}, Lost: 9, WireOnly: true,
			ToTunnel: by("forward"), ToWire: by("output"), FromWire: by("input"), FromTunnel: by("prerouting")},
		Wire: []evidence.WireObservations{{Remote: netip.MustParseAddrPort("192.0.2.2:51820"), Peer: "key=", Route: route,
			From: by("input"), To: by("postrouting")}}}
}

// full has a value in every field.
func full() evidence.Observations {
	o := first()
	o.Kernel.Counters = []evidence.Counter{{Name: "XfrmInNoPols", Before: 2, After: 5}}
	o.Kernel.DropsBlind = "this kernel does not tell why"
	o.Kernel.DropsMissed = 11
	o.Kernel.Hooks = []evidence.Hook{{Kind: evidence.HookTCEgress, Device: "eth0", Family: "ip", Own: true,
		Text: "tcx program x (id 7)", Show: "bpftool net show",
		Remove: "bpftool link detach id 8"}}
	routes := []*evidence.RouteDecision{&o.Route, &o.Wire[0].Route}
	for _, t := range []*evidence.Traversal{
		&o.Kernel.ToTunnel, &o.Kernel.ToWire, &o.Kernel.FromWire, &o.Kernel.FromTunnel, &o.Wire[0].From, &o.Wire[0].To,
	} {
		t.Packet, t.Incomplete = "udp 192.0.2.1:51820 > 192.0.2.2:51820, 124 bytes", true
		t.Whose, t.Peer, t.Sender = evidence.Secret, "alice", 7
		t.Own = &evidence.Times{At: t.At, DataAt: t.DataAt}
		t.Visits = []evidence.Visit{{Hook: "output", Chain: "inet filter output", Verdict: "accept", Lines: []string{"output handle 7: accept"}}}
		t.Held = &evidence.Held{Hook: "output", By: "handle 8: queue", How: "queued"}
		t.Drop.Owner = "ufw"
		t.Untracked = &evidence.Untracked{State: "untracked", By: "handle 3: notrack", Spare: []string{"nft ..."}}
		t.Proxy = &evidence.Proxy{Addr: netip.MustParseAddr("192.0.2.77"), Link: "eth0", Answers: true, Evidence: "proxy_arp = 1",
			Fix: []string{"sysctl -w"}}
		t.Lowered = &evidence.Lowered{From: 64, To: 1, By: "handle 9: ip ttl set 1", Spare: []string{"nft ..."}}
		t.KernelDrop = &evidence.KernelDrop{At: t.At, Count: 2, Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Hook: "egress", Device: "eth0",
			Socket: true, Hint: true, Usual: true, Claimed: true,
			Tables: []string{"forwarding is off"}, Fix: []string{"sysctl -w"}, Sender: 7, Data: true, Src: t.Src, Dst: t.Dst, Packet: t.Packet,
			Named: t.Drop}
		c := t.Source
		c.Doubt, c.Setting = "it depends", "rp_filter = 1 (strict)"
		c.Dst, c.Own, c.OwnRoute = netip.MustParseAddr("192.0.2.2"), true, "local 192.0.2.2"
		routes = append(routes, &t.Route, &t.Source.Back)
	}
	for _, r := range routes {
		r.Ahead = []evidence.RuleAhead{{Interface: "eth1", Command: "ip rule add ..."}}
		r.Overruled, r.LocalFirst = "local 192.0.2.1", "ip rule add"
		r.Broadcast, r.Mark, r.Steps = true, 7, []string{"0: from all lookup local -> no route"}
		r.Neighbor = &evidence.Neighbor{Addr: netip.MustParseAddr("192.0.2.254"), Link: "eth0", Unreachable: true, Pending: true,
			Evidence: "FAILED"}
	}
	return o
}

// Recordings of every version are read for ever, and all of what they say.
func TestReadsEveryVersion(t *testing.T) {
	for file, want := range map[string]evidence.Observations{"v1.json": first(), "v2.json": full()} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		var got evidence.Observations
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s is read as (-want +got):\n%s", file, diff)
		}
	}
}

// The form that is written is the one that others can read: no key is renamed or lost.
func TestWrites(t *testing.T) {
	got, err := json.MarshalIndent(full(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/v2.json", append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/v2.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("testdata/v2.json, and what is written now (-want +got):\n%s", diff)
	}
	if missing := zeroFields(reflect.ValueOf(full()), "Observations"); len(missing) > 0 {
		t.Errorf("no value in %s: the test does not see how it is written", strings.Join(missing, ", "))
	}
}

// zeroFields are the fields without a value.
func zeroFields(v reflect.Value, name string) (zero []string) {
	switch {
	case v.IsZero():
		return []string{name}
	case v.Kind() == reflect.Pointer:
		return zeroFields(v.Elem(), name)
	case v.Kind() == reflect.Slice:
		return zeroFields(v.Index(0), name)
	case v.Kind() != reflect.Struct || !strings.HasSuffix(v.Type().PkgPath(), "probe/evidence"):
		return nil
	}
	for i := range v.NumField() {
		field := name + "." + v.Type().Field(i).Name
		zero = append(zero, zeroFields(v.Field(i), field)...)
	}
	return zero
}

// What a newer version adds does not keep this one from reading the rest.
func TestReadsNewerVersion(t *testing.T) {
	var got evidence.Observations
	err := json.Unmarshal([]byte(`{"version":3,"target":"10.0.0.2:80","side":"A","kernel":{"blind":"x","ebpf":[1]},"more":{}}`), &got)
	if err != nil || got.Kernel == nil || got.Kernel.Blind != "x" || got.Side != probe.SideA {
		t.Errorf("read %+v, %v", got, err)
	}
}

// What was seen of several packets is counted; the rest is of the latest, and its end
// counts only if it is known.
func TestAdd(t *testing.T) {
	drop, on, found := &evidence.Drop{Hook: "input"}, &evidence.Forwarding{On: true}, evidence.RouteDecision{Kind: evidence.RouteFound}
	for _, c := range []struct {
		name    string
		packets []evidence.Traversal
		want    evidence.Traversal
	}{
		{name: "dropped after it passed", packets: []evidence.Traversal{
			{Packets: 1, At: noon, DataAt: noon, Passed: "input"}, {Packets: 1, At: noon.Add(1), Drop: drop}},
			want: evidence.Traversal{Packets: 2, At: noon.Add(1), DataAt: noon, Drop: drop, Passed: "input"}},
		{name: "passed after it was dropped", packets: []evidence.Traversal{{Packets: 1, Drop: drop}, {Packets: 1, Passed: "input"}},
			want: evidence.Traversal{Packets: 2, Passed: "input"}},
		{name: "lost after it was dropped", packets: []evidence.Traversal{{Packets: 1, Drop: drop}, {Packets: 1, Lost: "prerouting"}},
			want: evidence.Traversal{Packets: 2, Lost: "prerouting"}},
		{name: "an end that was missed",
			packets: []evidence.Traversal{{Packets: 1, Drop: drop}, {Packets: 1, Lost: "prerouting", Incomplete: true}},
			want:    evidence.Traversal{Packets: 2, Drop: drop, Incomplete: true}},
		{name: "what routing said of an earlier one", packets: []evidence.Traversal{
			{Packets: 1, Route: found, Forwarding: on}, {Packets: 1, Passed: "postrouting"}},
			want: evidence.Traversal{Packets: 2, Passed: "postrouting", Route: found, Forwarding: on}},
		{name: "changed by a rule", packets: []evidence.Traversal{
			{Packets: 1, Passed: "postrouting", Changed: "mark", ChangedBy: "rule"}, {Packets: 1, Drop: drop}},
			want: evidence.Traversal{Packets: 2, Drop: drop, Passed: "postrouting", Changed: "mark", ChangedBy: "rule"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got evidence.Traversal
			for i := range c.packets {
				got.Add(&c.packets[i])
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Of a connection that works it is not said that TCP has dropped a copy.
func TestHinted(t *testing.T) {
	hint := evidence.KernelDrop{Reason: "NO_SOCKET", Place: "__udp4_lib_rcv", Hint: true}
	usual := evidence.KernelDrop{Reason: "TCP_RFC7323_PAWS", Place: "tcp_validate_incoming", Hint: true, Usual: true}
	for _, test := range []struct {
		drop  *evidence.KernelDrop
		works bool
		want  string
	}{
		{nil, false, ""},
		{&evidence.KernelDrop{Reason: "TC_INGRESS"}, false, ""},
		{&hint, false, "does not prove that anything is wrong"}, {&hint, true, "does not prove that anything is wrong"},
		{&usual, false, "TCP_RFC7323_PAWS in tcp_validate_incoming; connections that work have that, too"}, {&usual, true, ""},
	} {
		got := (&evidence.Traversal{KernelDrop: test.drop}).Hinted(test.works)
		if !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%+v, works %v: %q, want %q", test.drop, test.works, got, test.want)
		}
	}
}

// A drop that proves something is not forgotten for one that does not.
func ofData(d evidence.KernelDrop) evidence.KernelDrop {
	d.Data = true
	return d
}

func TestAddDrop(t *testing.T) {
	proof := evidence.KernelDrop{Reason: "TC_INGRESS", Place: "__netif_receive_skb_core", Count: 1}
	hint, claimed := proof, proof
	hint.Hint, claimed.Claimed = true, true
	usual := evidence.KernelDrop{Reason: "TCP_INVALID_SYN", Place: "tcp_validate_incoming", Count: 1, Hint: true, Usual: true}
	for _, test := range []struct {
		name  string
		drops []evidence.KernelDrop
		want  evidence.KernelDrop
	}{
		{"hint", []evidence.KernelDrop{hint}, hint},
		{"hint after proof", []evidence.KernelDrop{proof, hint}, proof},
		{"proof after hint", []evidence.KernelDrop{hint, proof}, evidence.KernelDrop{Reason: proof.Reason, Place: proof.Place, Count: 2}},
		{"usual", []evidence.KernelDrop{usual}, usual},
		{"usual after hint", []evidence.KernelDrop{hint, usual}, hint},
		{"usual after proof", []evidence.KernelDrop{proof, usual}, proof},
		{"hint after usual", []evidence.KernelDrop{usual, hint}, hint},
		{"anybody's after proof", []evidence.KernelDrop{proof, claimed}, proof},
		{"anybody's", []evidence.KernelDrop{hint, claimed},
			evidence.KernelDrop{Reason: proof.Reason, Place: proof.Place, Count: 1, Claimed: true}},
		{"anybody's, twice", []evidence.KernelDrop{claimed, claimed},
			evidence.KernelDrop{Reason: proof.Reason, Place: proof.Place, Count: 2, Claimed: true}},
		{"proof after anybody's", []evidence.KernelDrop{ofData(claimed), proof}, proof},
		{"data, then a handshake", []evidence.KernelDrop{ofData(proof), proof},
			evidence.KernelDrop{Reason: proof.Reason, Place: proof.Place, Count: 2, Data: true}},
	} {
		var p evidence.Traversal
		for _, d := range test.drops {
			p.AddDrop(d)
		}
		if !cmp.Equal(*p.KernelDrop, test.want, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })) {
			t.Errorf("%s: %+v, want %+v", test.name, *p.KernelDrop, test.want)
		}
	}
}
