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

// full has a value in every field, as a host might have observed it.
func full() evidence.Observations {
	route := evidence.RouteDecision{Kind: evidence.RouteProhibited, Interface: "eth0", Gateway: netip.MustParseAddr("192.0.2.254"),
		Source: netip.MustParseAddr("192.0.2.1"), Local: true, Mark: 7, Text: "prohibit default", By: "1000: from all lookup 7",
		Remove: "ip rule del", Beatable: true, Around: "ip route add ...",
		Neighbor: &evidence.Neighbor{Addr: netip.MustParseAddr("192.0.2.254"), Link: "eth0", Unreachable: true, Evidence: "FAILED"}}
	by := func(hook string) evidence.Traversal {
		return evidence.Traversal{Packets: 3, At: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), DataAt: time.Date(2026, 3, 1, 12, 0, 0, 4, time.UTC),
			Src: netip.MustParseAddrPort("192.0.2.1:51820"), Dst: netip.MustParseAddrPort("[2001:db8::2]:51820"), In: "wg0", Out: "eth0",
			Drop: &evidence.Drop{Hook: hook, Chain: "inet filter " + hook, Rule: "handle 7: drop", Reject: true, Data: true,
				Packet: "udp 192.0.2.1:51820 > 192.0.2.2:51820", Fix: []string{"nft insert rule ..."}},
			Lost: "prerouting", Passed: "output", XfrmBlocks: []evidence.XfrmBlock{{Text: "IPsec policy", Fix: "ip xfrm policy delete"}},
			Translated: "source a to b", Changed: "mark 0x0 to 0x1", ChangedBy: "rule 3", Spare: []string{"nft ..."}, Route: route,
			Source:     &evidence.SourceCheck{Drops: true, Evidence: []string{"rp_filter = 1"}, Fix: []string{"sysctl"}, Back: route},
			Forwarding: &evidence.Forwarding{On: true, Evidence: "forwarding = 1", Fix: []string{"sysctl -w"}},
			Conntrack:  &evidence.Conntrack{Text: "tcp", Unreplied: true, SNAT: true}}
	}
	return evidence.Observations{Target: netip.MustParseAddrPort("10.0.0.2:80"), Side: probe.SideB, Route: route,
		Kernel: &evidence.KernelEvidence{Blind: "no rights", Limits: []string{"legacy"}, Lost: 9, WireOnly: true,
			ToTunnel: by("forward"), ToWire: by("output"), FromWire: by("input"), FromTunnel: by("prerouting")},
		Wire: []evidence.WireObservations{{Remote: netip.MustParseAddrPort("192.0.2.2:51820"), Peer: "key=", Route: route,
			From: by("input"), To: by("postrouting")}}}
}

// Recordings of every version are read for ever, and all of what they say.
func TestReadsEveryVersion(t *testing.T) {
	for _, file := range []string{"v1.json", "v2.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		var got evidence.Observations
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want := full()
		if file == "v1.json" {
			forgetWhatIsNewer(&want)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s is read as (-want +got):\n%s", file, diff)
		}
	}
}

// forgetWhatIsNewer takes away what version 1 did not have.
func forgetWhatIsNewer(o *evidence.Observations) {
	elsewhere := []*evidence.RouteDecision{&o.Route, &o.Wire[0].Route} // a neighbor was looked at of traced packets only
	for _, t := range []*evidence.Traversal{&o.Kernel.ToTunnel, &o.Kernel.ToWire, &o.Kernel.FromWire, &o.Kernel.FromTunnel, &o.Wire[0].From, &o.Wire[0].To} {
		t.Route.Mark = 0
		elsewhere = append(elsewhere, &t.Source.Back)
	}
	for _, r := range elsewhere {
		r.Mark, r.Neighbor = 0, nil
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
