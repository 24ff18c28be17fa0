package filter_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
)

var (
	alice = filter.Peer{ID: 1, Key: [32]byte{1, 2, 3}, Name: "alice"}
	bob   = filter.Peer{ID: 2, Key: [32]byte{1, 2, 4}, Name: "bob's router"}
	carol = filter.Peer{ID: 3, Key: [32]byte{9}}
	peers = filter.Among([]filter.Peer{alice, bob, carol})
)

func base64Key(p filter.Peer) string { return base64.StdEncoding.EncodeToString(p.Key[:]) }

// events are one of each sort; the tests name them by their keys.
var events = map[string]probe.Event{
	"request": inner(probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner,
		Peer: 1, Proto: 6}, "10.0.0.1:45734", "192.168.200.22:80"),
	"reply": inner(probe.Event{Seam: probe.SeamTUNWrite, Checkpoint: probe.A6, Kind: probe.KindInner,
		Peer: 1, Proto: 6}, "192.168.200.22:80", "10.0.0.1:45734"),
	"dns": inner(probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner,
		Peer: 2, Proto: 17}, "10.0.0.1:5353", "10.0.0.53:53"),
	// The identifier of the echo request stands where ports do.
	"ping": inner(probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner,
		Peer: 2, Proto: 1}, "10.0.0.1:80", "10.0.0.53:1"),
	"ping6": inner(probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner,
		Peer: 2, Proto: 58}, "[fd00::1]:80", "[fd00::2]:1"),
	"lost": inner(probe.Event{Seam: probe.SeamTUNRead, Checkpoint: probe.A1, Kind: probe.KindInner,
		Reason: probe.NoAllowedIPsMatch, Proto: 6}, "10.0.0.1:45735", "8.8.8.8:443"),
	"hello": outer(probe.Event{Seam: probe.SeamUDPSend, Checkpoint: probe.A2, Kind: probe.KindInitiation,
		Peer: 1}, "0.0.0.0:51820", "203.0.113.2:51822"),
	"stranger": stranger(),
}

func inner(e probe.Event, src, dst string) probe.Event {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	e.InnerSrc, e.InnerSrcPort = probe.AddrFrom(s.Addr()), s.Port()
	e.InnerDst, e.InnerDstPort = probe.AddrFrom(d.Addr()), d.Port()
	return e
}

func outer(e probe.Event, src, dst string) probe.Event {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(s.Addr()), s.Port()
	e.OuterDst, e.OuterDstPort = probe.AddrFrom(d.Addr()), d.Port()
	return e
}

func stranger() probe.Event {
	e := outer(probe.Event{Seam: probe.SeamUDPReceive, Checkpoint: probe.B1,
		Kind: probe.KindInitiation, Reason: probe.UnknownPeer}, "198.51.100.7:4000", "0.0.0.0:51820")
	e.SetStaticKey([32]byte{10: 0xff, 11: 0xff, 12: 10, 13: 0, 14: 0, 15: 1}) // looks like 10.0.0.1
	return e
}

// matchTests are filters, and the names of the events that each lets pass.
var matchTests = []struct{ filter, want string }{
	{"", "dns hello lost ping ping6 reply request stranger"},
	{"peer alice", "hello reply request"},
	{"peer alice not hello", "error"},
	{`peer "bob's router"`, "dns ping ping6"},
	{"peer " + base64Key(carol), ""},
	{"peer " + base64Key(alice)[:5], "hello reply request"},
	{"not peer alice", "dns lost ping ping6 stranger"},
	{"checkpoint A1", "dns lost ping ping6 request"},
	{"a2 a6", "hello reply"},
	{"A2,A6", "hello reply"},
	{"direction in", "reply stranger"},
	{"out", "dns hello lost ping ping6 request"},
	{"in out", "dns hello lost ping ping6 reply request stranger"},
	{"tcp", "lost reply request"},
	{"tcp udp", "dns lost reply request"},
	{"proto 17", "dns"},
	{"icmp", "ping"},
	{"icmp6", "ping6"},
	{"proto icmp,icmp6", "ping ping6"},
	{"not tcp", "dns hello ping ping6 stranger"},
	{"not tcp not udp", "hello ping ping6 stranger"},
	{"not proto tcp,udp", "hello ping ping6 stranger"},
	{"host 10.0.0.1", "dns lost ping reply request"},
	{"10.0.0.1", "dns lost ping reply request"},
	{"src host 10.0.0.1", "dns lost ping request"},
	{"dst 10.0.0.1", "reply"},
	{"src host 10.0.0.1 dst net 10.0.0.0/8", "dns ping"},
	{"host 8.8.8.8 host 10.0.0.53", "dns lost ping"},
	{"net 192.168.0.0/16", "reply request"},
	{"0.0.0.0/0", "dns lost ping reply request"},
	{"::/0", "ping6"},
	{"fd00::/8", "ping6"},
	{"fd00::2", "ping6"},
	{"not net 0.0.0.0/0", "hello ping6 stranger"},
	{"port 80", "reply request"},
	{"dst port 80", "request"},
	{"src port 80", "reply"},
	{"port 50-60,443", "dns lost"},
	{"not port 80", "dns hello lost ping ping6 stranger"},
	{"outer host 203.0.113.2", "hello"},
	{"outer 198.51.100.7", "stranger"},
	{"outer port 51820", "hello stranger"},
	{"outer dst port 51820", "stranger"},
	{"outer src net 198.51.100.0/24", "stranger"},
	{"kind initiation", "hello stranger"},
	{"handshake not dropped", "hello"},
	{"verdict dropped", "lost stranger"},
	{"passed", "dns hello ping ping6 reply request"},
	{"reason unknown-peer", "stranger"},
	{"no-allowedips-match", "lost"},
	{"dropped not reason unknown-peer", "lost"},
	{"seam tun-write", "reply"},
	{"tun-write,udp-send", "hello reply"},
}

func TestMatch(t *testing.T) {
	for _, tt := range matchTests {
		f, err := filter.Compile([]string{tt.filter}, peers)
		if tt.want == "error" {
			if err == nil {
				t.Errorf("%q: no error", tt.filter)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.filter, err)
			continue
		}
		if got := matching(f); got != tt.want {
			t.Errorf("%q matches %q, want %q", tt.filter, got, tt.want)
		}
		// As words of a shell it is the same filter.
		if strings.Contains(tt.filter, `"`) {
			continue
		}
		f, err = filter.Compile(strings.Fields(tt.filter), peers)
		if err != nil || matching(f) != tt.want {
			t.Errorf("%q as words: %v, %v", tt.filter, f, err)
		}
	}
}

func matching(f *filter.Filter) string {
	var names []string
	for name, e := range events {
		if f.Match(&e) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Numbers that only a later release knows are neither selected by a name nor left out by
// a filter that is about something else.
func TestNewerNumbers(t *testing.T) {
	e := probe.Event{Seam: 200, Kind: 200, Reason: 200, Peer: 1, PrefixBits: probe.NoPrefix}
	for words, want := range map[string]bool{
		"dropped": true, "passed": false, "not reason replayed": true, "reason replayed": false,
		"not kind data": true, "kind data": false, "not seam udp-send": true, "in": false, "peer alice": true,
	} {
		f, err := filter.Compile([]string{words}, peers)
		if err != nil {
			t.Fatal(err)
		}
		if f.Match(&e) != want {
			t.Errorf("%q: %v, want %v", words, !want, want)
		}
	}
}

func TestZeroFilterMatchesAll(t *testing.T) {
	var f *filter.Filter
	if !f.Match(&probe.Event{}) || !new(filter.Filter).Match(&probe.Event{}) || f.String() != "" {
		t.Error("a nil or zero filter is not empty")
	}
}

func TestString(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"port 443 TCP", "error"},
		{"port 443,80 tcp dst port 9-9", "proto tcp port 80,443 dst port 9"},
		{"not a4 dropped in 10.1.2.3/8 ::ffff:1.2.3.4",
			"direction in verdict dropped host 1.2.3.4 net 10.0.0.0/8 not checkpoint A4"},
		{"handshake data kind data", "kind initiation,response,cookie,data"},
		{"proto 6 proto 99 udp", "proto tcp,udp,99"},
		{`peer "bob's router" peer alice`, `peer "alice,bob's router"`},
		{"outer src 1.2.3.4 not outer port 53 src 1.1.1.1",
			"src host 1.1.1.1 outer src host 1.2.3.4 not outer port 53"},
	}
	for _, tt := range tests {
		f, err := filter.Compile([]string{tt.in}, peers)
		if tt.want == "error" {
			if err == nil {
				t.Errorf("%q: no error", tt.in)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
		} else if got := f.String(); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"checkpoint C1", `filter, word 2: unknown checkpoint "C1": want one of A1 A2 A3 A4 A5 A6 B1 B2 B3 B4 B5 B6 B7 B8`},
		{"tcp kind keepalve", `filter, word 3: unknown kind "keepalve": did you mean "keepalive"? want one of inner`},
		{"reason no-endpont", `did you mean "no-endpoint"?`},
		{"droped", `unknown word "droped": did you mean "dropped"? want an address, a name such as`},
		{"port", `filter, word 1: "port" wants a port or a range such as 1000-2000 after it`},
		{"tcp not", `filter, word 2: "not" wants a term after it`},
		{"not not tcp", `"not" is given twice`},
		{"port 0", `port "0": want a port or a range`},
		{"port 70000", `port "70000"`},
		{"port 20-10", `port "20-10"`},
		{"port 80,", `port ""`},
		{"host example.org", `host "example.org": want an IP address`},
		{"host fe80::1%eth0", `want an IP address`},
		{"net 10.0.0.0", `want a prefix such as 10.0.0.0/8`},
		{"proto 0", `unknown proto "0": want a number from 1 to 255, or one of tcp udp`},
		{"port=80", `unknown word "port=80": write "port 80"`},
		{"tcp and udp", `filter, word 2: there is no "and"`},
		{"tcp or udp", `filter, word 2: there is no "or": give the same key twice`},
		{"src tcp", `"tcp" cannot follow "src": want host, net, port`},
		{"outer peer alice", `"peer" cannot follow "outer": want src, dst, host, net, port`},
		{"peer mallory", `filter, word 2: peer "mallory": no peer has this name or public key`},
		{"peer ali", `peer "ali": no peer has this name`},
		{"peer AQID", `peer "AQID": the public keys of 2 peers`},
		{`peer "bob`, `quote is not closed: "\"bob"`},
	}
	keys := filter.Among([]filter.Peer{alice, {ID: 4, Key: [32]byte{1, 2, 3, 4}}})
	for _, tt := range tests {
		f, err := filter.Compile([]string{tt.in}, keys)
		if err == nil {
			t.Errorf("%q compiles to %q", tt.in, f)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got  %v\nwant %v", tt.in, err, tt.want)
		}
	}
	if _, err := filter.Compile([]string{"peer", "alice"}, nil); err == nil {
		t.Error("a peer was found without a resolver")
	}
	wrapped := errors.New("node is gone")
	_, err := filter.Compile([]string{"peer", "alice"}, func(string) ([]probe.PeerID, error) { return nil, wrapped })
	if !errors.Is(err, wrapped) {
		t.Errorf("the resolver's error is lost: %v", err)
	}
}

func TestPeerNameAsOneArgument(t *testing.T) {
	f, err := filter.Compile([]string{"udp", "peer", "bob's router"}, peers)
	if err != nil || matching(f) != "dns" {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestComplete(t *testing.T) {
	tests := []struct{ args, word, want string }{
		{"", "pee", "peer peer-removed"},
		{"", "tun-r", "tun-read"},
		{"", "no", "not no-allowedips-match no-endpoint not-ip"},
		{"not", "no", "no-allowedips-match no-endpoint not-ip"},
		{"checkpoint", "b", "B1 B2 B3 B4 B5 B6 B7 B8"},
		{"direction", "", "in out"},
		{"src", "", "host net port"},
		{"tcp outer", "", "src dst host net port"},
		{"tcp port", "", ""},
		{"peer", "", ""},
		{"tcp port 80", "dro", "dropped"},
		{"proto", "tcp,u", "tcp,udp"},
		{"", "tcp,t", ""},
		{"", "A1,a", "A1,A2 A1,A3 A1,A4 A1,A5 A1,A6"},
	}
	for _, tt := range tests {
		got := strings.Join(filter.Complete(strings.Fields(tt.args), tt.word), " ")
		if got != tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.args, tt.word, got, tt.want)
		}
	}
	if !filter.WantsPeer([]string{"tcp", "not", "peer"}) || filter.WantsPeer([]string{"peer", "alice"}) {
		t.Error("WantsPeer")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	f, err := filter.Compile([]string{"peer alice tcp net 10.0.0.0/8 not port 22"}, peers)
	if err != nil {
		t.Fatal(err)
	}
	e := events["request"]
	if n := testing.AllocsPerRun(100, func() { f.Match(&e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var sink bool

func BenchmarkMatch(b *testing.B) {
	for _, words := range []string{"", "dropped", "peer alice tcp net 10.0.0.0/8 port 443", "peer alice tcp net 10.0.0.0/8 port 80"} {
		f, err := filter.Compile([]string{words}, peers)
		if err != nil {
			b.Fatal(err)
		}
		e := events["request"]
		b.Run(fmt.Sprintf("%q", words), func(b *testing.B) {
			for b.Loop() {
				sink = f.Match(&e)
			}
		})
	}
}

// The names of links lie where addresses do, and are none.
func TestNetworkEvents(t *testing.T) {
	e := probe.NetworkChange{Change: probe.ChangeDefaultRoute, OldLink: "eth0", OldAddr: netip.MustParseAddr("10.9.1.1")}.Event()
	for words, want := range map[string]bool{
		"kind network": true, "network": true, "outer host 10.9.1.1": true,
		"kind endpoint": false, "net ::/0": false, "outer host 10.9.1.2": false,
	} {
		f, err := filter.Compile(strings.Fields(words), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Match(&e); got != want {
			t.Errorf("%s: %v, want %v", words, got, want)
		}
	}
}
