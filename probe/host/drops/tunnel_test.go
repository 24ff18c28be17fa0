//go:build linux

package drops

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A tunnel's packets are told from others: by addresses, by the port, and by the device that
// they are at or are routed to.
func TestTunnel(t *testing.T) {
	t.Run("by loads", func(t *testing.T) { testTunnel(t, false) })
	t.Run("by functions, as where the verifier does not know the types", func(t *testing.T) { testTunnel(t, true) })
}

func testTunnel(t *testing.T, functions bool) {
	space := enter(t)
	for _, command := range []string{
		"ip addr add 10.77.0.1/32 dev lo", "ip addr add 10.77.9.1/32 dev lo", "ip addr add fd77::1/128 dev lo",
		"ip tuntap add dev wg mode tun",
		"ip link set wg up", "tc qdisc replace dev wg root blackhole", "ip addr add 10.1.0.2/16 dev wg",
	} {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	wg, err := net.InterfaceByName("wg")
	if err != nil {
		t.Fatal(err)
	}
	inner := netip.MustParsePrefix
	beside := Match{Proto: unix.IPPROTO_UDP, Dst: inner("127.0.0.8/32"), DstPort: 997}
	around := Addresses{
		Inner: []netip.Prefix{inner("10.77.0.0/16"), inner("fd77::/64")}, Other: []netip.Prefix{inner("10.77.9.0/24")},
		Local: []netip.Addr{netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("10.77.9.1")}}
	w := watchFor(t, Options{Namespace: space, Matches: []Match{beside},
		Tunnel: &Tunnel{Device: uint32(wg.Index), Port: 51820, Addresses: around}, functions: functions})
	if w.functions != functions {
		t.Error("the verifier of this kernel refuses the program that loads fields itself")
	}
	for _, test := range []struct {
		to   string
		want Segment // none: not to be reported
	}{
		{"127.0.0.9:998", SegmentNone},
		{"127.0.0.8:51820", SegmentNone},
		{"10.77.9.1:999", SegmentNone},
		{"10.77.9.1:51820", SegmentOuter},
		{"127.0.0.9:51820", SegmentOuter},
		{"10.77.0.1:999", SegmentInner},
		{"[fd77::1]:999", SegmentInner},
		{"10.1.0.1:51820", SegmentInner},
	} {
		sendAnyway(t, test.to)
		if test.want == SegmentNone {
			continue // were it reported, the next would not be the next
		}
		d := next(t, w)
		if got := d.destination(); d.Segment != test.want || got != netip.MustParseAddrPort(test.to) {
			t.Errorf("%s: %s in %s, segment %q, to %s", test.to, d.Reason, d.Place, d.Segment, got)
		}
	}
	sendAnyway(t, "127.0.0.8:997")
	if d := next(t, w); d.Segment != SegmentNone || d.destination() != netip.MustParseAddrPort("127.0.0.8:997") {
		t.Errorf("what a match selects beside the tunnel: to %s, segment %q", d.destination(), d.Segment)
	}
	places, err := w.Places()
	if err != nil {
		t.Fatal(err)
	}
	if n := places[Place{"NO_SOCKET", "__udp4_lib_rcv", 1, SegmentOuter}]; n != 2 {
		t.Errorf("%d encrypted packets at the closed port: %v", n, places)
	}
	if err := w.SetAddresses(Addresses{Inner: []netip.Prefix{inner("127.0.0.8/32")}}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.77.0.1:999", "127.0.0.9:51820", "127.0.0.8:51820"} {
		sendAnyway(t, to)
	}
	if got := next(t, w).destination(); got.Addr() != netip.MustParseAddr("127.0.0.8") {
		t.Errorf("with other addresses: to %s", got)
	}
}

// next reads the next report, but those of what the kernel sends to its neighbors by itself, and
// those that say nothing.
func next(t *testing.T, w *Watcher) *Drop {
	t.Helper()
	for {
		d, err := w.Read()
		if err != nil {
			t.Fatal(err)
		}
		if !d.destination().Addr().IsMulticast() && !d.Noise() {
			return d
		}
	}
}

// sendAnyway sends a datagram that the kernel may say that it drops.
func sendAnyway(t *testing.T, to string) {
	t.Helper()
	addr := netip.MustParseAddrPort(to)
	family, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(addr.Port())})
	if addr.Addr().Is4() {
		sa.(*unix.SockaddrInet4).Addr = addr.Addr().As4()
	} else {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, nil, 0, sa); err != nil && err != unix.ENOBUFS {
		t.Fatalf("%s: %v", to, err)
	}
}

func (d *Drop) destination() netip.AddrPort {
	at, addr := 20, netip.AddrFrom4([4]byte(d.Header[16:]))
	if d.Header[0]>>4 == 6 {
		at, addr = 40, netip.AddrFrom16([16]byte(d.Header[24:]))
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(d.Header[at+2:]))
}

// What is in several prefixes is what the longest says.
func TestClasses(t *testing.T) {
	p, addr := netip.MustParsePrefix, netip.MustParseAddr
	a := Addresses{Inner: []netip.Prefix{p("10.0.0.0/8"), p("10.1.2.0/24")}, Other: []netip.Prefix{p("10.1.0.0/16")},
		Local: []netip.Addr{addr("10.0.0.1"), addr("10.1.0.1"), addr("10.1.2.1"), addr("192.0.2.1")}}
	classes := a.classes()
	for prefix, want := range map[string]uint32{"10.0.0.0/8": classInner, "10.1.0.0/16": 0, "10.1.2.0/24": classInner,
		"10.0.0.1/32": classInner | classLocal, "10.1.0.1/32": classLocal, "10.1.2.1/32": classInner | classLocal, "192.0.2.1/32": classLocal} {
		if got, ok := classes[keyOf(p(prefix))]; got != want || !ok {
			t.Errorf("%s: %d, want %d", prefix, got, want)
		}
	}
	if n := binary.Size(addressKey{}); n != addressKeyLen {
		t.Errorf("a key has %d bytes, want %d", n, addressKeyLen)
	}
}
