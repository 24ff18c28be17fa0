package overview

import (
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

func somePeers() []Peer {
	at := time.Unix(1_800_000_000, 0)
	all := []Peer{
		{Name: "phone 10", State: diagnose.StateUp, RxBytes: 9, Rates: &Rates{Rx: 1, Over: time.Second}, Handshake: at},
		{Name: "phone 9", State: diagnose.StateUp, RTT: &RTT{Took: time.Second}, Rates: &Rates{Tx: 5, Over: time.Second}},
		{Name: "asleep", State: diagnose.StateStale, Idle: true},
		{State: diagnose.StateNeverSeen, Idle: true},
		{Name: "broken", State: diagnose.StateFailing, TxBytes: 3},
		{State: diagnose.StateHandshaking, Handshake: at.Add(time.Second)},
	}
	for i := range all {
		all[i].PublicKey = key.Public{byte(i), 1}
	}
	return all
}

func labels(t *Tunnel) string {
	var names []string
	for i := range t.Peers {
		name := t.Peers[i].Name
		if name == "" {
			name = "-" + string(t.Peers[i].State)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		name string
		req  Request
		want string
		left [2]int // by the limit, and because idle
	}{
		{"faults first, then what happens", Request{}, "broken -handshaking phone 9 phone 10 asleep -never-seen", [2]int{}},
		{"the idle are counted", Request{Few: 5}, "broken -handshaking phone 9 phone 10", [2]int{0, 2}},
		{"few enough to tell of all", Request{Few: 6}, "broken -handshaking phone 9 phone 10 asleep -never-seen", [2]int{}},
		{"who asks for the idle gets them", Request{Few: 5, States: []diagnose.State{diagnose.StateStale}}, "asleep", [2]int{}},
		{"a limit", Request{Few: 5, Limit: 1}, "broken", [2]int{3, 2}},
		{"by name, numbers as such", Request{Sort: SortName}, "asleep broken phone 9 phone 10 -never-seen -handshaking", [2]int{}},
		{"by handshake", Request{Sort: SortHandshake, Limit: 2}, "-handshaking phone 10", [2]int{4, 0}},
		{"by rate", Request{Sort: SortRate, Limit: 2}, "phone 9 phone 10", [2]int{4, 0}},
		{"by bytes", Request{Sort: SortBytes, Limit: 2}, "phone 10 broken", [2]int{4, 0}},
		{"by round trip", Request{Sort: SortRTT, Limit: 1}, "phone 9", [2]int{5, 0}},
		{"by name of one", Request{Peer: "asleep"}, "asleep", [2]int{}},
		{"by the beginning of a key", Request{Peer: key.Public{3, 1}.String()[:8] + "…"}, "-never-seen", [2]int{}},
		{"by a key", Request{Peer: key.Public{3, 1}.String()}, "-never-seen", [2]int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got Tunnel
			got.Select(somePeers(), &c.req)
			if labels(&got) != c.want || [2]int{got.Left, got.IdleLeft} != c.left {
				t.Errorf("%s, %d left, %d idle left: want %s, %v", labels(&got), got.Left, got.IdleLeft, c.want, c.left)
			}
			if got.Total != 6 || got.Idle != 2 || got.Faults() != 1 || got.Counts[diagnose.StateUp] != 2 {
				t.Errorf("of all: %+v", got)
			}
			if got.RxBytes != 9 || got.TxBytes != 3 || got.Rates == nil || got.Rates.Rx != 1 || got.Rates.Tx != 5 {
				t.Errorf("sums: %d, %d, %+v", got.RxBytes, got.TxBytes, got.Rates)
			}
		})
	}
}

// The order of two names is that of their numbers, and a total one.
func TestNatural(t *testing.T) {
	sorted := []string{"", "a", "a2", "a02", "a10", "a10b", "b", "b1c2", "b1c10"}
	for i, a := range sorted {
		for j, b := range sorted {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := natural(a, b); got != want {
				t.Errorf("%q and %q: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestRequestPassesAQuery(t *testing.T) {
	for _, r := range []Request{
		{},
		{Peer: "a b&c", States: []diagnose.State{diagnose.StateUp, diagnose.StateFailing}, Sort: SortRate, Limit: 3, Few: 20, Wait: time.Second},
	} {
		q, err := url.ParseQuery(r.Query().Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseRequest(q); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v became %+v: %v", r, got, err)
		}
	}
	for _, bad := range []string{"x=1", "state=nope", "state=nope&state=up", "sort=nope", "limit=-1", "few=a", "wait=1"} {
		q, _ := url.ParseQuery(bad)
		if r, err := ParseRequest(q); err == nil {
			t.Errorf("%s is taken for %+v", bad, r)
		}
	}
	for _, s := range Sorts() {
		if _, err := ParseSort(s); err != nil {
			t.Error(err)
		}
	}
	if !slices.Contains(States(), diagnose.StateDegraded) {
		t.Error("a state lacks")
	}
}

// A report says at a glance what it says at length.
func TestOfReport(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	k := key.Public{5}
	r := &diagnose.DoctorReport{Interface: "wg0", Level: probe.LevelHalf, Peers: []diagnose.PeerReport{
		{Peer: k.String(), PeerName: "office", State: diagnose.StateStale, HandshakeAge: time.Hour,
			Endpoint: &diagnose.Whereabouts{Endpoint: netip.MustParseAddrPort("192.0.2.1:9")}, Verdict: diagnose.Verdict{Code: diagnose.Idle}},
		{PeerName: "broken", State: diagnose.StateFailing,
			Verdict: diagnose.Verdict{Code: diagnose.NoResponse, Checkpoint: probe.A3, Summary: "no answer"}},
	}}
	got := OfReport(r, at, &Request{})
	if labels(got) != "broken office" || got.Kind != KindKernel || got.Idle != 1 || !got.VerdictsAt.Equal(at) {
		t.Fatalf("%+v", got)
	}
	if v := got.Peers[0].Verdict; v.Code != diagnose.NoResponse || v.Checkpoint != "A3" || v.Healthy || v.Summary == "" {
		t.Errorf("%+v", v)
	}
	if p := &got.Peers[1]; p.PublicKey != k || !p.Handshake.Equal(at.Add(-time.Hour)) || p.Endpoint.Port() != 9 || !p.Idle || p.Rates != nil {
		t.Errorf("%+v", p)
	}
}
