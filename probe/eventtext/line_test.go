package eventtext_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema/schematest"
)

var update = flag.Bool("update", false, "write what is printed now into testdata")

// book knows alice, a peer without a name, and one with a hostile name.
type book struct{}

const hostile = "e\x1b]0;vil\x07\"\\\u202e\xff"

func (book) Peer(id probe.PeerID) (k key.Public, name string, ok bool) {
	k[0] = byte(id)
	return k, map[probe.PeerID]string{1: "alice", 3: hostile}[id], id >= 1 && id <= 3
}

// addrs sets inner or outer addresses from text.
func addrs(src, dst string) (s, d probe.Addr, sport, dport uint16) {
	parse := func(text string) (probe.Addr, uint16) {
		if a, err := netip.ParseAddr(text); err == nil {
			return probe.AddrFrom(a), 0
		}
		if a, err := netip.ParseAddrPort(text); err == nil {
			return probe.AddrFrom(a.Addr()), a.Port()
		}
		return probe.Addr{}, 0
	}
	s, sport = parse(src)
	d, dport = parse(dst)
	return s, d, sport, dport
}

func inner(e *probe.Event, src, dst string) {
	e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort = addrs(src, dst)
}

func outer(e *probe.Event, src, dst string) {
	e.OuterSrc, e.OuterDst, e.OuterSrcPort, e.OuterDstPort = addrs(src, dst)
}

// eventCase is an event by its name.
type eventCase struct {
	name  string
	event func(e *probe.Event) // is given one of alice's
}

// cases are events as seams record them, and what may be wrong with one. The lines and
// the JSON of each are in testdata.
var cases = []eventCase{
	{name: "syn", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.PrefixBits = probe.SeamTUNRead, probe.A1, probe.KindInner, 24
		e.Proto, e.Info, e.InnerLen = probe.ProtoTCP, probe.TCPSyn, 60
		inner(e, "10.0.0.1:45734", "192.168.200.22:80")
	}},
	{name: "initiation", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind = probe.SeamUDPSend, probe.A2, probe.KindInitiation
		e.OuterLen, e.Sender = 148, 0x1a2b3c4d
		outer(e, "0.0.0.0:51820", there)
	}},
	{name: "response", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamUDPReceive, probe.A3, probe.KindResponse, 2
		e.OuterLen, e.Sender, e.Receiver = 92, 1, 0x1a2b3c4d
		outer(e, "[2001:db8::2]:51822", "")
	}},
	{name: "data", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.Pair = probe.SeamUDPSend, probe.A4, probe.KindData, 5
		e.Proto, e.Info, e.OuterLen = probe.ProtoTCP, probe.TCPPsh|probe.TCPAck, 96
		e.Receiver, e.Counter = 0xbeef, 17
		outer(e, "", there)
		inner(e, "10.0.0.1:45734", "192.168.200.22:80")
	}},
	{name: "keepalive", event: func(e *probe.Event) {
		e.Seam, e.Kind, e.OuterLen = probe.SeamUDPReceive, probe.KindKeepalive, 32
		e.Receiver, e.Flags = 1, probe.FlagEndpointMoved
		outer(e, there, "")
	}},
	{name: "no match", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamTUNRead, probe.A1, probe.KindInner, 0
		e.Proto, e.InnerLen, e.Reason = probe.ProtoUDP, 40, probe.NoAllowedIPsMatch
		inner(e, "10.0.0.1:1", "8.8.8.8:53")
	}},
	{name: "ping6", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamTUNWrite, probe.A6, probe.KindInner, 9
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMPv6, 129, 104
		inner(e, "fd00::2", "fd00::1")
		e.InnerSrcPort, e.InnerDstPort = 12, 3
	}},
	{name: "inner icmp error", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNWrite, probe.A6, probe.KindInner
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMP, 3, 56
		inner(e, "10.9.0.1", "10.0.0.1")
		e.InnerSrcPort, e.InnerDstPort = 3, 53
	}},
	{name: "inner icmp error with its quote", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNWrite, probe.A6, probe.KindInner
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMP, 3, 56
		inner(e, "10.0.0.2", "10.0.0.1")
		outer(e, "203.0.113.2:51820", "")
		e.InnerSrcPort = 1
		e.Quote(probe.ProtoTCP, 40000, netip.MustParseAddrPort("192.168.200.23:80"))
	}},
	{name: "inner icmp error by which a node speaks for itself", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNWrite, probe.A6, probe.KindInner
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMP, 3, 168
		inner(e, "10.0.0.2", "10.0.0.1")
		e.InnerSrcPort = 1
		e.Quote(probe.ProtoTCP, 40000, netip.MustParseAddrPort("10.0.0.77:80"))
		e.SetNodeSays(probe.NoAllowedIPsMatch)
	}},
	{name: "inner icmp error about an echo", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNRead, probe.B7, probe.KindInner
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMPv6, 1, 96
		inner(e, "fd00::2", "fd00::1")
		e.InnerSrcPort = 3
		e.Quote(probe.ProtoICMPv6, 77, netip.MustParseAddrPort("[fd00:9::23]:2"))
	}},
	{name: "fragment", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNWrite, probe.B4, probe.KindInner
		e.Proto, e.InnerLen, e.Flags = probe.ProtoUDP, 1420, probe.FlagFragment
		inner(e, "10.9.0.1", "10.0.0.1")
	}},
	{name: "not ip", event: func(e *probe.Event) {
		e.Seam, e.Kind, e.Peer = probe.SeamTUNRead, probe.KindInner, 0
		e.InnerLen, e.Reason = 9, probe.NotIP
	}},
	{name: "endpoint", event: func(e *probe.Event) {
		e.Seam, e.Kind, e.Flags = probe.SeamDevice, probe.KindEndpoint, probe.FlagEndpointMoved
		outer(e, there, "198.51.100.7:4000")
	}},
	{name: "endpoint set", event: func(e *probe.Event) {
		e.Seam, e.Kind = probe.SeamDevice, probe.KindEndpoint
		outer(e, "", "198.51.100.7:4000")
	}},
	{name: "default route", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeDefaultRoute, OldAddr: netip.MustParseAddr("10.9.1.1"), OldLink: "eth0",
			NewAddr: netip.MustParseAddr("fd00:9:1::1"), NewLink: "wlan0123456789a"}.Event()
	}},
	{name: "address gone", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeAddressGone, OldAddr: netip.MustParseAddr("10.9.1.2"), OldLink: "eth0"}.Event()
	}},
	{name: "link down", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeLinkDown, OldLink: "eth0"}.Event()
	}},
	{name: "resume", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeResume, Asleep: time.Hour + 1600*time.Millisecond}.Event()
	}},
	{name: "mtu", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeMTU, NewLink: "wg0", OldMTU: 1420, NewMTU: 1340}.Event()
	}},
	{name: "kill switch", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeKillSwitch, NewLink: "wg0", Program: "nft\x1b[2J", PID: 4711, Times: 3}.Event()
	}},
	{name: "firewall", event: func(e *probe.Event) {
		*e = probe.NetworkChange{Change: probe.ChangeFirewall, NewLink: "wg0", Times: 1}.Event()
	}},
	{name: "icmp error", event: func(e *probe.Event) {
		e.Seam, e.Kind, e.Reason = probe.SeamDevice, probe.KindICMP, probe.ICMPHostUnreachable
		outer(e, "192.0.2.1", there)
	}},
	{name: "icmp error that quotes our message", event: func(e *probe.Event) {
		e.Seam, e.Kind, e.Reason, e.Info, e.Sender = probe.SeamDevice, probe.KindICMP, probe.ICMPHostUnreachable, 3, 0x1234
		outer(e, "192.0.2.1", there)
	}},
	{name: "icmp error that anybody could have sent", event: func(e *probe.Event) {
		e.Seam, e.Kind, e.Reason, e.Info = probe.SeamDevice, probe.KindICMP, probe.ICMPHostUnreachable, 3
		outer(e, "192.0.2.1", there)
	}},
	{name: "stranger", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamUDPReceive, probe.B1, probe.KindInitiation, 0
		e.OuterLen, e.Sender, e.Reason = 148, 5, probe.UnknownPeer
		outer(e, "198.51.100.7:4000", "0.0.0.0:51820")
		e.SetStaticKey([32]byte{9})
	}},
	{name: "hostile", event: func(e *probe.Event) {
		e.Seam, e.Checkpoint, e.Kind, e.Peer, e.OuterLen = probe.SeamUDPSend, probe.A2, probe.KindCookie, 3, 64
		outer(e, "", there)
	}},
}

// there is where alice's messages go.
const there = "203.0.113.2:51822"

// event is the event of a case.
func event(name string) probe.Event {
	i := slices.IndexFunc(cases, func(c eventCase) bool { return c.name == name })
	e := probe.Event{Peer: 1, PrefixBits: probe.NoPrefix}
	cases[i].event(&e)
	e.Seq = 7
	e.Time = time.Date(2026, 3, 1, 19, 47, 20, 751416000, time.UTC).UnixNano()
	return e
}

// golden compares a line for each case with those in a file.
func golden(t *testing.T, name string, line func(e *probe.Event) []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	var got [][]byte
	for _, c := range cases {
		e := event(c.name)
		got = append(got, line(&e))
	}
	if *update {
		if err := os.WriteFile(path, append(bytes.Join(got, []byte("\n")), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if len(want) != len(got) {
		t.Fatalf("%s has %d lines for %d cases", path, len(want), len(got))
	}
	for i, c := range cases {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s (go test -update writes %s):\ngot  %s\nwant %s", c.name, path, got[i], want[i])
		}
	}
}

func TestAppendLine(t *testing.T) {
	opt := &eventtext.Options{Location: time.UTC}
	golden(t, "events.txt", func(e *probe.Event) []byte { return eventtext.AppendLine(nil, e, book{}, opt) })
}

func TestAppendJSON(t *testing.T) {
	golden(t, "events.jsonl", func(e *probe.Event) []byte { return eventtext.AppendJSON(nil, e, book{}) })
}

func TestAppendLineColour(t *testing.T) {
	e := event("no match")
	got := string(eventtext.AppendLine(nil, &e, book{}, &eventtext.Options{Color: true, Location: time.UTC, ASCII: true}))
	for _, want := range []string{"\x1b[36mA1\x1b[0m", "\x1b[31mDROP no-allowedips-match\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

// FuzzEvent renders events that no recorder would make: the JSON is valid, and
// neither form holds a character that is not printable.
func FuzzEvent(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := randomEvent(r)
		b := eventtext.AppendJSON([]byte("{"), &e, book{})[1:]
		if !json.Valid(b) {
			t.Fatalf("%+v: not valid: %s", e, b)
		}
		printable(t, b)
		printable(t, eventtext.AppendLine(nil, &e, book{}, &eventtext.Options{}))
	})
}

func TestRandomEvents(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		e := randomEvent(r)
		if b := eventtext.AppendJSON(nil, &e, book{}); !json.Valid(b) {
			t.Fatalf("%+v: not valid: %s", e, b)
		} else if err := schematest.Validate("watch", b); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		printable(t, eventtext.AppendLine(nil, &e, book{}, &eventtext.Options{ASCII: true}))
	}
}

func randomEvent(r *rand.Rand) probe.Event {
	addr := func() (a probe.Addr) {
		switch r.IntN(3) {
		case 0:
			return probe.Addr{10: 0xff, 11: 0xff, 12: 10, 15: 1}
		case 1:
			for i := range a {
				a[i] = byte(r.Uint32())
			}
		}
		return a
	}
	// Half of the numbers are small, so that they name something.
	num := func() uint8 { return uint8(r.Uint32()) >> (4 * r.IntN(2)) }
	return probe.Event{
		Time: int64(r.Uint64()), Seq: r.Uint64(), Pair: r.Uint64(), Counter: r.Uint64(),
		InnerSrc: addr(), InnerDst: addr(), OuterSrc: addr(), OuterDst: addr(),
		InnerSrcPort: uint16(r.Uint32()), InnerDstPort: uint16(r.Uint32()),
		OuterSrcPort: uint16(r.Uint32()), OuterDstPort: uint16(r.Uint32()),
		Receiver: r.Uint32(), Sender: r.Uint32(), Peer: probe.PeerID(r.IntN(5)),
		InnerLen: uint16(r.Uint32()), OuterLen: uint16(r.Uint32()),
		Seam: probe.Seam(num()), Checkpoint: probe.Checkpoint(num()), Kind: probe.Kind(num()),
		Proto: num(), Reason: probe.Reason(num()), PrefixBits: num(), Flags: probe.Flags(num()), Info: num(),
	}
}

func printable(t *testing.T, b []byte) {
	t.Helper()
	if !utf8.Valid(b) {
		t.Fatalf("not UTF-8: %q", b)
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q in %q", r, b)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	e := event("data")
	var buf []byte
	opt := &eventtext.Options{Location: time.UTC}
	b.Run("line", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = eventtext.AppendLine(buf[:0], &e, book{}, opt)
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = eventtext.AppendJSON(buf[:0], &e, book{})
		}
	})
}
