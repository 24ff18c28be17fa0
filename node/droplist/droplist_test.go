//go:build linux

package droplist

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/probe/key"
)

// datagram is a dropped one of UDP, with payload in its header's place.
func datagram(src, dst string, length int, payload ...byte) *drops.Drop {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	d := &drops.Drop{At: time.Unix(1000, 0), Reason: "TC_EGRESS", Place: "__dev_queue_xmit", Device: 3, Segment: drops.SegmentInner,
		Length: 28 + length}
	h := d.Header[:]
	h[0], h[9] = 0x45, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(h[2:], uint16(d.Length))
	copy(h[12:], from.Addr().AsSlice())
	copy(h[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(h[20:], from.Port())
	binary.BigEndian.PutUint16(h[22:], to.Port())
	binary.BigEndian.PutUint16(h[24:], uint16(8+length))
	copy(h[28:], payload)
	return d
}

func newList(t *testing.T, words ...string) *List {
	t.Helper()
	l := &List{rows: make(map[drops.Place]*row), repeats: make(repeats), around: &surroundings{devices: map[uint32]string{3: "eth0"}}}
	l.peers.update([]Peer{
		{PublicKey: key.Public{1}, Name: "alice", Endpoint: netip.MustParseAddrPort("203.0.113.2:51820"),
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{PublicKey: key.Public{2}, Name: "bob", AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
	})
	if len(words) > 0 {
		var err error
		if l.filter, err = filter.CompileDrops(words, filter.Among(l.peers.filterPeers()), nil); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestAdd(t *testing.T) {
	l := newList(t)
	data := make([]byte, 16)
	data[0] = probe.TypeData
	binary.LittleEndian.PutUint32(data[4:], 0xbeef)
	binary.LittleEndian.PutUint64(data[8:], 77)
	message := datagram("192.0.2.1:51820", "203.0.113.2:51820", 128, data...)
	message.Segment = drops.SegmentOuter
	noise := datagram("10.9.0.1:1", "10.9.0.2:2", 9)
	noise.Reason = "TCP_OLD_DATA"
	hint := datagram("10.1.0.1:53", "10.9.0.2:2", 9)
	hint.Reason, hint.Place, hint.Device = "NO_SOCKET", "__udp4_lib_rcv", 9
	for _, test := range []struct {
		drop *drops.Drop
		want *Row
	}{
		{datagram("10.9.0.1:40000", "10.0.0.2:53", 9), &Row{Segment: "inner", Device: "eth0", Proven: true, Count: 1, Packet: Packet{
			Src: "10.9.0.1", Dst: "10.0.0.2", SPort: 40000, DPort: 53, Proto: "udp", Len: 37, Kind: "inner", PeerName: "alice",
			detail: "10.9.0.1:40000 > 10.0.0.2:53 udp len 37"}}},
		{message, &Row{Segment: "outer", Device: "eth0", Proven: true, Count: 1, Packet: Packet{
			Src: "192.0.2.1", Dst: "203.0.113.2", SPort: 51820, DPort: 51820, Proto: "udp", Len: 156, Kind: "data", Receiver: 0xbeef,
			Counter: 77, PeerName: "alice", detail: "192.0.2.1:51820 > 203.0.113.2:51820 data len 156 receiver 0x0000beef counter 77"}}},
		{hint, &Row{Segment: "inner", Device: "device 9", Count: 1, Packet: Packet{
			Src: "10.1.0.1", Dst: "10.9.0.2", SPort: 53, DPort: 2, Proto: "udp", Len: 37, Kind: "inner", PeerName: "bob",
			detail: "10.1.0.1:53 > 10.9.0.2:2 udp len 37"}}},
		{noise, nil},
	} {
		got := l.add(test.drop)
		if got == nil || test.want == nil {
			if (got == nil) != (test.want == nil) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			continue
		}
		test.want.Packet.Peer = got.Packet.Peer
		if got.Segment != test.want.Segment || got.Device != test.want.Device || got.Proven != test.want.Proven ||
			got.Count != test.want.Count || got.Packet != test.want.Packet {
			t.Errorf("got  %+v\nwant %+v", got, test.want)
		}
	}
}

// What TCP drops of connections that work is listed only where one does not get on.
func TestUsual(t *testing.T) {
	l, start := newList(t), datagram("10.9.0.1:1", "10.0.0.2:2", 9).At
	for _, test := range []struct {
		after time.Duration
		seq   byte
		want  bool
	}{
		{0, 1, false}, {time.Millisecond, 1, false}, {2 * time.Millisecond, 1, false}, // copies that came together
		{3 * time.Second, 2, false}, {3 * time.Second, 1, true}, {4 * time.Second, 1, true},
		{5 * time.Second, 2, false}, {6 * time.Second, 2, true},
	} {
		d := datagram("10.9.0.1:40000", "10.0.0.2:443", 32)
		d.Reason, d.Place, d.At = "TCP_RFC7323_PAWS", "tcp_validate_incoming", start.Add(test.after)
		d.Header[9], d.Header[20+7], d.Header[20+13] = probe.ProtoTCP, test.seq, 0x10
		if got := l.add(d); (got != nil) != test.want {
			t.Errorf("after %v: %+v", test.after, got)
		}
	}
	for i := range 3 * maxSegments {
		d := datagram("10.9.0.1:40000", "10.0.0.2:443", 32)
		d.Reason, d.Place = "TCP_RFC7323_PAWS", "tcp_validate_incoming"
		binary.BigEndian.PutUint32(d.Header[24:], uint32(i))
		d.Header[9] = probe.ProtoTCP
		l.add(d)
	}
	if len(l.repeats) > maxSegments {
		t.Errorf("%d segments are remembered", len(l.repeats))
	}
}

// Without a filter a row's count is the kernel's; with one it is of what was seen, and the
// row says if there were more.
func TestCount(t *testing.T) {
	one, other := datagram("10.9.0.1:1", "10.0.0.2:53", 9), datagram("10.9.0.1:1", "10.0.0.2:54", 9)
	start := one.At
	for _, test := range []struct {
		filter  []string
		kernel  []uint64
		count   uint64
		atLeast bool
	}{
		{nil, nil, 2, false},
		{nil, []uint64{50, 90}, 90, false},
		{nil, []uint64{50, 10}, 60, false}, // it had forgotten the place
		{[]string{"port 53"}, []uint64{2}, 1, false},
		{[]string{"port 53"}, []uint64{3}, 1, true},
		{[]string{"peer bob"}, []uint64{3}, 0, true},
	} {
		l := newList(t, test.filter...)
		l.add(other)
		l.add(one)
		for _, r := range l.rows {
			for _, n := range test.kernel {
				r.counted(n)
			}
			r.show(start, l.filter != nil, 5)
			if r.Count != test.count || r.AtLeast != test.atLeast || r.Lost != 5 {
				t.Errorf("%v, %v: %+v", test.filter, test.kernel, r.Row)
			}
		}
	}
}

func TestRate(t *testing.T) {
	start := time.Unix(1000, 0)
	r := &row{beforeAt: start, olderAt: start}
	at := func(after time.Duration, kernel uint64, want float64) {
		t.Helper()
		r.counted(kernel)
		r.show(start.Add(after), false, 0)
		if r.PerSecond != want {
			t.Errorf("after %v: %v a second, want %v", after, r.PerSecond, want)
		}
	}
	at(10*time.Millisecond, 1, 1)
	at(time.Second, 100, 100)
	r.shift(start.Add(time.Second))
	at(1500*time.Millisecond, 110, 73.3)
	at(2*time.Second, 120, 20)
	r.shift(start.Add(2 * time.Second))
	at(3*time.Second, 120, 0)
}

// A default route, and the halves of one, do not make a packet the tunnel's.
func TestSurvey(t *testing.T) {
	tunnel := &Tunnel{Interface: "lo", Peers: []Peer{{AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("128.0.0.0/1"), netip.MustParsePrefix("2000::/3"), netip.MustParsePrefix("10.0.0.0/8")}}}}
	s, err := survey(tunnel)
	if err != nil {
		t.Fatal(err)
	}
	if s.devices[s.index] != "lo" || len(s.Inner) != 1 || s.Inner[0].String() != "10.0.0.0/8" {
		t.Errorf("%+v", s)
	}
	tunnel.Interface = ""
	if s, err := survey(tunnel); err != nil || len(s.Inner) > 0 || s.index != 0 {
		t.Errorf("without an interface: %+v, %v", s, err)
	}
}
