package eventtext_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/key"
)

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

func inner(e probe.Event, src, dst string) probe.Event {
	e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort = addrs(src, dst)
	return e
}

func outer(e probe.Event, src, dst string) probe.Event {
	e.OuterSrc, e.OuterDst, e.OuterSrcPort, e.OuterDstPort = addrs(src, dst)
	return e
}

var cases = []struct{ name, line, json string }{
	{"syn",
		`19:47:20.751416 A1 tun-read    alice    10.0.0.1:45734 > 192.168.200.22:80 tcp [S] len 60 match 192.168.200.0/24`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"tun-read","checkpoint":"A1","kind":"inner","verdict":"passed","direction":"out","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","inner":{"src":"10.0.0.1","dst":"192.168.200.22","sport":45734,"dport":80,"proto":"tcp","len":60,"tcp_flags":"S"},"allowed_ip":"192.168.200.0/24"}`},
	{"initiation",
		`19:47:20.751416 A2 udp-send    alice    > 203.0.113.2:51822 initiation len 148 sender 0x1a2b3c4d`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"udp-send","checkpoint":"A2","kind":"initiation","verdict":"passed","direction":"out","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","outer":{"dst":"203.0.113.2:51822","len":148},"sender":439041101}`},
	{"response",
		`19:47:20.751416 A3 udp-receive AgAAAAAA… < [2001:db8::2]:51822 response len 92 sender 0x00000001 receiver 0x1a2b3c4d`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"udp-receive","checkpoint":"A3","kind":"response","verdict":"passed","direction":"in","peer":"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","outer":{"src":"[2001:db8::2]:51822","len":92},"receiver":439041101,"sender":1}`},
	{"data",
		`19:47:20.751416 A4 udp-send    alice    > 203.0.113.2:51822 data len 96 idx 0x0000beef ctr 17  10.0.0.1:45734 > 192.168.200.22:80 tcp [P.]`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"pair":5,"seam":"udp-send","checkpoint":"A4","kind":"data","verdict":"passed","direction":"out","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","inner":{"src":"10.0.0.1","dst":"192.168.200.22","sport":45734,"dport":80,"proto":"tcp","tcp_flags":"P."},"outer":{"dst":"203.0.113.2:51822","len":96},"receiver":48879,"counter":17}`},
	{"keepalive",
		`19:47:20.751416    udp-receive alice    < 203.0.113.2:51822 keepalive len 32 idx 0x00000001 ctr 0 moved-endpoint`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"udp-receive","kind":"keepalive","verdict":"passed","direction":"in","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","outer":{"src":"203.0.113.2:51822","len":32},"receiver":1,"counter":0,"endpoint_moved":true}`},
	{"no match",
		`19:47:20.751416 A1 tun-read    -        10.0.0.1:1 > 8.8.8.8:53 udp len 40 DROP no-allowedips-match`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"tun-read","checkpoint":"A1","kind":"inner","verdict":"dropped","reason":"no-allowedips-match","direction":"out","inner":{"src":"10.0.0.1","dst":"8.8.8.8","sport":1,"dport":53,"proto":"udp","len":40}}`},
	{"ping6",
		`19:47:20.751416 A6 tun-write   peer#9   fd00::2 > fd00::1 icmp6 echo-reply id 12 seq 3 len 104`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"tun-write","checkpoint":"A6","kind":"inner","verdict":"passed","direction":"in","inner":{"src":"fd00::2","dst":"fd00::1","proto":"icmp6","len":104,"icmp_type":129,"icmp_id":12,"icmp_seq":3}}`},
	{"inner icmp error",
		`19:47:20.751416 A6 tun-write   alice    10.9.0.1 > 10.0.0.1 icmp unreachable code 3 about port 53 len 56`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"tun-write","checkpoint":"A6","kind":"inner","verdict":"passed","direction":"in","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","inner":{"src":"10.9.0.1","dst":"10.0.0.1","proto":"icmp","len":56,"icmp_type":3,"icmp_code":3}}`},
	{"fragment",
		`19:47:20.751416 B4 tun-write   alice    10.9.0.1 > 10.0.0.1 udp len 1420 fragment`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"tun-write","checkpoint":"B4","kind":"inner","verdict":"passed","direction":"in","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","inner":{"src":"10.9.0.1","dst":"10.0.0.1","proto":"udp","len":1420,"fragment":true}}`},
	{"not ip",
		`19:47:20.751416    tun-read    -        not decoded len 9 DROP not-ip`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"tun-read","kind":"inner","verdict":"dropped","reason":"not-ip","direction":"out","inner":{"len":9}}`},
	{"endpoint",
		`19:47:20.751416    device      alice    endpoint 203.0.113.2:51822 → 198.51.100.7:4000`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"endpoint","verdict":"passed","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","endpoint":{"old":"203.0.113.2:51822","new":"198.51.100.7:4000"}}`},
	{"endpoint set",
		`19:47:20.751416    device      alice    endpoint none → 198.51.100.7:4000 set`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"endpoint","verdict":"passed","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","endpoint":{"new":"198.51.100.7:4000","set":true}}`},
	{"default route",
		`19:47:20.751416    device      -        network default-route 10.9.1.1 dev eth0 → fd00:9:1::1 dev wlan0123456789a`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed","network":{"change":"default-route","old":"10.9.1.1","new":"fd00:9:1::1","old_link":"eth0","new_link":"wlan0123456789a"}}`},
	{"address gone",
		`19:47:20.751416    device      -        network address-gone 10.9.1.2 dev eth0 → none`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed","network":{"change":"address-gone","old":"10.9.1.2","old_link":"eth0"}}`},
	{"link down",
		`19:47:20.751416    device      -        network link-down eth0`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed","network":{"change":"link-down","old_link":"eth0"}}`},
	{"resume",
		`19:47:20.751416    device      -        network resume after 1h0m2s`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed","network":{"change":"resume","asleep":3602}}`},
	{"mtu",
		`19:47:20.751416    device      -        network mtu dev wg0 1420 → 1340`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed","network":{"change":"mtu","new_link":"wg0","old_mtu":1420,"new_mtu":1340}}`},
	{"kill switch",
		`19:47:20.751416    device      -        network kill-switch of wg0 was changed by nft\x1b[2J (process 4711), 3 times, and is back`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed",` +
			`"network":{"change":"kill-switch","new_link":"wg0","program":"nft\u001b[2J","pid":4711,"times":3}}`},
	{"firewall",
		`19:47:20.751416    device      -        network firewall of wg0 was changed by another program and is back`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"network","verdict":"passed",` +
			`"network":{"change":"firewall","new_link":"wg0","times":1}}`},
	{"icmp error",
		`19:47:20.751416    device      alice    icmp-error about 203.0.113.2:51822 says 192.0.2.1 DROP icmp-host-unreachable`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"device","kind":"icmp-error","verdict":"dropped","reason":"icmp-host-unreachable","peer":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"alice","outer":{"src":"192.0.2.1","dst":"203.0.113.2:51822"}}`},
	{"stranger",
		`19:47:20.751416 B1 udp-receive -        < 198.51.100.7:4000 initiation len 148 sender 0x00000005 key CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= DROP unknown-peer`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"udp-receive","checkpoint":"B1","kind":"initiation","verdict":"dropped","reason":"unknown-peer","direction":"in","outer":{"src":"198.51.100.7:4000","len":148},"sender":5,"static_key":"CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`},
	{"hostile",
		`19:47:20.751416 A2 udp-send    e\x1b]0;vil\x07"\\u202e\xff > 203.0.113.2:51822 cookie len 64 receiver 0x00000000`,
		`{"time":"2026-03-01T19:47:20.751416Z","seq":7,"seam":"udp-send","checkpoint":"A2","kind":"cookie","verdict":"passed","direction":"out","peer":"AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","peer_name":"e\u001b]0;vil\u0007\"\\\u202e\ufffd","outer":{"dst":"203.0.113.2:51822","len":64},"receiver":0}`},
}

// event is the event of a case: what the lines above show.
func event(name string) probe.Event {
	e := probe.Event{Peer: 1, PrefixBits: probe.NoPrefix}
	const there = "203.0.113.2:51822"
	switch name {
	case "syn":
		e.Seam, e.Checkpoint, e.Kind, e.PrefixBits = probe.SeamTUNRead, probe.A1, probe.KindInner, 24
		e.Proto, e.Info, e.InnerLen = probe.ProtoTCP, probe.TCPSyn, 60
		e = inner(e, "10.0.0.1:45734", "192.168.200.22:80")
	case "initiation":
		e.Seam, e.Checkpoint, e.Kind = probe.SeamUDPSend, probe.A2, probe.KindInitiation
		e.OuterLen, e.Sender = 148, 0x1a2b3c4d
		e = outer(e, "0.0.0.0:51820", there)
	case "response":
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamUDPReceive, probe.A3, probe.KindResponse, 2
		e.OuterLen, e.Sender, e.Receiver = 92, 1, 0x1a2b3c4d
		e = outer(e, "[2001:db8::2]:51822", "")
	case "data":
		e.Seam, e.Checkpoint, e.Kind, e.Pair = probe.SeamUDPSend, probe.A4, probe.KindData, 5
		e.Proto, e.Info, e.OuterLen = probe.ProtoTCP, probe.TCPPsh|probe.TCPAck, 96
		e.Receiver, e.Counter = 0xbeef, 17
		e = inner(outer(e, "", there), "10.0.0.1:45734", "192.168.200.22:80")
	case "keepalive":
		e.Seam, e.Kind, e.OuterLen = probe.SeamUDPReceive, probe.KindKeepalive, 32
		e.Receiver, e.Flags = 1, probe.FlagEndpointMoved
		e = outer(e, there, "")
	case "no match":
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamTUNRead, probe.A1, probe.KindInner, 0
		e.Proto, e.InnerLen, e.Reason = probe.ProtoUDP, 40, probe.NoAllowedIPsMatch
		e = inner(e, "10.0.0.1:1", "8.8.8.8:53")
	case "ping6":
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamTUNWrite, probe.A6, probe.KindInner, 9
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMPv6, 129, 104
		e = inner(e, "fd00::2", "fd00::1")
		e.InnerSrcPort, e.InnerDstPort = 12, 3
	case "inner icmp error":
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNWrite, probe.A6, probe.KindInner
		e.Proto, e.Info, e.InnerLen = probe.ProtoICMP, 3, 56
		e = inner(e, "10.9.0.1", "10.0.0.1")
		e.InnerSrcPort, e.InnerDstPort = 3, 53
	case "fragment":
		e.Seam, e.Checkpoint, e.Kind = probe.SeamTUNWrite, probe.B4, probe.KindInner
		e.Proto, e.InnerLen, e.Flags = probe.ProtoUDP, 1420, probe.FlagFragment
		e = inner(e, "10.9.0.1", "10.0.0.1")
	case "not ip":
		e.Seam, e.Kind, e.Peer = probe.SeamTUNRead, probe.KindInner, 0
		e.InnerLen, e.Reason = 9, probe.NotIP
	case "endpoint":
		e.Seam, e.Kind, e.Flags = probe.SeamDevice, probe.KindEndpoint, probe.FlagEndpointMoved
		e = outer(e, there, "198.51.100.7:4000")
	case "endpoint set":
		e.Seam, e.Kind = probe.SeamDevice, probe.KindEndpoint
		e = outer(e, "", "198.51.100.7:4000")
	case "default route":
		e = probe.NetworkChange{Change: probe.ChangeDefaultRoute, OldAddr: netip.MustParseAddr("10.9.1.1"), OldLink: "eth0",
			NewAddr: netip.MustParseAddr("fd00:9:1::1"), NewLink: "wlan0123456789a"}.Event()
	case "address gone":
		e = probe.NetworkChange{Change: probe.ChangeAddressGone, OldAddr: netip.MustParseAddr("10.9.1.2"), OldLink: "eth0"}.Event()
	case "link down":
		e = probe.NetworkChange{Change: probe.ChangeLinkDown, OldLink: "eth0"}.Event()
	case "resume":
		e = probe.NetworkChange{Change: probe.ChangeResume, Asleep: time.Hour + 1600*time.Millisecond}.Event()
	case "mtu":
		e = probe.NetworkChange{Change: probe.ChangeMTU, NewLink: "wg0", OldMTU: 1420, NewMTU: 1340}.Event()
	case "kill switch":
		e = probe.NetworkChange{Change: probe.ChangeKillSwitch, NewLink: "wg0", Program: "nft\x1b[2J", PID: 4711, Times: 3}.Event()
	case "firewall":
		e = probe.NetworkChange{Change: probe.ChangeFirewall, NewLink: "wg0", Times: 1}.Event()
	case "icmp error":
		e.Seam, e.Kind, e.Reason = probe.SeamDevice, probe.KindICMP, probe.ICMPHostUnreachable
		e = outer(e, "192.0.2.1", there)
	case "stranger":
		e.Seam, e.Checkpoint, e.Kind, e.Peer = probe.SeamUDPReceive, probe.B1, probe.KindInitiation, 0
		e.OuterLen, e.Sender, e.Reason = 148, 5, probe.UnknownPeer
		e = outer(e, "198.51.100.7:4000", "0.0.0.0:51820")
		e.SetStaticKey([32]byte{9})
	case "hostile":
		e.Seam, e.Checkpoint, e.Kind, e.Peer, e.OuterLen = probe.SeamUDPSend, probe.A2, probe.KindCookie, 3, 64
		e = outer(e, "", there)
	}
	e.Seq = 7
	e.Time = time.Date(2026, 3, 1, 19, 47, 20, 751416000, time.UTC).UnixNano()
	return e
}

func TestAppendLine(t *testing.T) {
	opt := &eventtext.Options{Location: time.UTC}
	for _, c := range cases {
		e := event(c.name)
		if got := string(eventtext.AppendLine(nil, &e, book{}, opt)); got != c.line {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.line)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	for _, c := range cases {
		e := event(c.name)
		if got := string(eventtext.AppendJSON(nil, &e, book{})); got != c.json {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.json)
		}
	}
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
