package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
)

var families = []struct{ name, addr string }{{"v4", "127.0.0.1"}, {"v6", "::1"}}

func TestPacketsArriveWholeAndInOrder(t *testing.T) {
	same := func(size int) func(int) int { return func(int) int { return size } }
	loads := []struct {
		name string
		n    int
		size func(i int) int
	}{
		{"one", 1, same(148)},
		{"tiny", 128, same(1)},
		{"full batch", 128, same(1420)},
		{"more than a batch", 300, same(1420)},
		{"growing", 128, func(i int) int { return 32 + i }},
		{"shrinking", 128, func(i int) int { return 1420 - i }},
		{"short last ones", 128, func(i int) int {
			if i%10 == 9 {
				return 80
			}
			return 1280
		}},
		{"too big to join", 4, same(40000)},
		{"as big as can be", 2, same(maxPayload4)},
	}
	for _, family := range families {
		for _, noOffload := range []bool{false, true} {
			for _, load := range loads {
				t.Run(fmt.Sprintf("%s/offload=%v/%s", family.name, !noOffload, load.name), func(t *testing.T) {
					a := newNode(t, Options{DisableOffload: noOffload})
					b := newNode(t, Options{DisableOffload: noOffload})
					packets := numbered(load.n, load.size)
					a.mustSend(t, a.endpoint(t, family.addr, b.port), packets...)
					last := b.expect(t, packets)

					want := netip.AddrPortFrom(netip.MustParseAddr(family.addr), a.port).String()
					if got := last.ep.DstToString(); got != want {
						t.Errorf("the packets came from %s, want %s", got, want)
					}
					if got := last.ep.SrcToString(); got != family.addr {
						t.Errorf("the packets came to %s, want %s", got, family.addr)
					}
					b.mustSend(t, last.ep, packets...)
					a.expect(t, packets)
				})
			}
		}
	}
}

func TestOffloadIsUsedHere(t *testing.T) {
	b := New(Options{}).(*Bind)
	if _, _, err := b.Open(0); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, s := range b.open.Load().sockets() {
		if !s.join || !s.segment {
			t.Errorf("v6=%v: UDP_GRO %v, UDP_SEGMENT %v: the other tests do not cover them", s.v6, s.join, s.segment)
		}
	}
}

// Sixty-four packets in one datagram, and a caller with room for ten.
func TestJoinedPacketsWaitForTheNextCall(t *testing.T) {
	a := newNode(t, Options{})
	b := New(Options{})
	fns, port, err := b.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	packets := numbered(64, func(int) int { return 1000 })
	a.mustSend(t, a.endpoint(t, "127.0.0.1", port), packets...)

	bufs, sizes, eps := make([][]byte, 10), make([]int, 10), make([]conn.Endpoint, 10)
	for i := range bufs {
		bufs[i] = make([]byte, 2000)
	}
	for got := 0; got < len(packets); {
		n, err := fns[0](bufs, sizes, eps)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if string(bufs[i][:sizes[i]]) != string(packets[got]) {
				t.Fatalf("packet %d differs", got)
			}
			got++
		}
	}
}

func TestReplyLeavesFromTheAddressThatWasAsked(t *testing.T) {
	a, b := newNode(t, Options{}), newNode(t, Options{})
	a.mustSend(t, a.endpoint(t, "127.0.0.7", b.port), []byte("question"))
	asked := b.nextPacket(t).ep
	if got := asked.SrcIP(); got != netip.MustParseAddr("127.0.0.7") {
		t.Fatalf("the question came to %v, want 127.0.0.7", got)
	}
	b.mustSend(t, asked, []byte("answer"))
	if got := a.nextPacket(t).ep.DstIP(); got != netip.MustParseAddr("127.0.0.7") {
		t.Errorf("the answer came from %v, want 127.0.0.7", got)
	}

	asked.ClearSrc()
	if asked.SrcIP().IsValid() || asked.SrcToString() != "" {
		t.Errorf("cleared, but the source is still %v", asked.SrcIP())
	}
	b.mustSend(t, asked, []byte("answer"))
	if got := a.nextPacket(t).ep.DstIP(); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("with the source cleared the answer came from %v, want the kernel's choice 127.0.0.1", got)
	}

	a.mustSend(t, a.endpoint(t, "127.0.0.7", b.port), []byte("question"))
	if again := b.nextPacket(t).ep; !again.SrcIP().IsValid() || asked.SrcIP().IsValid() {
		t.Error("the source must be learned anew, and by a new Endpoint only")
	}
}

func TestSourceThatIsNotOursIsForgotten(t *testing.T) {
	for _, c := range []struct{ dst, src string }{{"127.0.0.1", "192.0.2.99"}, {"::1", "2001:db8::99"}} {
		a, b := newNode(t, Options{}), newNode(t, Options{})
		e := newEndpoint(endpointKey{
			remote: netip.MustParseAddr(c.dst),
			port:   b.port,
			local:  source{addr: netip.MustParseAddr(c.src)},
		}, &a.Bind.(*Bind).gen)
		packets := numbered(100, func(int) int { return 1000 })
		a.mustSend(t, e, packets...)
		b.expect(t, packets)
		if e.SrcIP().IsValid() {
			t.Errorf("to %s: the source %s is still there", c.dst, c.src)
		}
	}
}

func TestTooLongAPacketDoesNotKeepBackOthers(t *testing.T) {
	a, b := newNode(t, Options{}), newNode(t, Options{})
	packets := numbered(3, func(i int) int { return []int{100, 65530, 100}[i] })
	err := a.Send(packets, a.endpoint(t, "127.0.0.1", b.port))
	if !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("got error %v, want EMSGSIZE", err)
	}
	b.expect(t, [][]byte{packets[0], packets[2]})
}

func TestBothFamiliesShareAPort(t *testing.T) {
	a, b := newNode(t, Options{}), newNode(t, Options{})
	for _, family := range families {
		a.mustSend(t, a.endpoint(t, family.addr, b.port), []byte(family.name))
		if p := b.nextPacket(t); string(p.data) != family.name {
			t.Errorf("got %q, want %q", p.data, family.name)
		}
	}
	// In disguise, too.
	a.mustSend(t, a.endpoint(t, "::ffff:127.0.0.1", b.port), []byte("mapped"))
	b.expect(t, [][]byte{[]byte("mapped")})
}

func TestOpenAndClose(t *testing.T) {
	n := newNode(t, Options{})
	if _, _, err := n.Open(0); !errors.Is(err, conn.ErrBindAlreadyOpen) {
		t.Errorf("second Open: got %v, want ErrBindAlreadyOpen", err)
	}
	other := New(Options{})
	if _, _, err := other.Open(n.port); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Open of a taken port: got %v, want EADDRINUSE", err)
	}
	ep := n.endpoint(t, "127.0.0.1", n.port)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for ; n.loops > 0; n.loops-- {
		if err := closedErr(<-n.stopped); err != nil {
			t.Errorf("receive function after Close: %v", err)
		}
	}
	if err := closedErr(n.Send([][]byte{{1}}, ep)); err != nil {
		t.Errorf("Send after Close: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := n.SetMark(1); err != nil {
		t.Errorf("SetMark after Close: %v", err)
	}
	if _, port, err := n.Open(n.port); err != nil || port != n.port {
		t.Errorf("Open again: got port %d, error %v", port, err)
	}
}

func TestForeignEndpoint(t *testing.T) {
	n := newNode(t, Options{})
	if err := n.Send([][]byte{{1}}, &conn.StdNetEndpoint{}); !errors.Is(err, conn.ErrWrongEndpointType) {
		t.Errorf("got %v, want ErrWrongEndpointType", err)
	}
}

func TestParseEndpoint(t *testing.T) {
	b := New(Options{})
	for _, c := range []struct{ in, want string }{
		{"192.0.2.1:51820", "192.0.2.1:51820"},
		{"[2001:db8::1]:1", "[2001:db8::1]:1"},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1"},
		{"[fe80::1%eth0]:51820", "[fe80::1%eth0]:51820"},
		{"192.0.2.1", ""},
		{"example.com:1", ""},
		{"192.0.2.1:65536", ""},
	} {
		ep, err := b.ParseEndpoint(c.in)
		if (err == nil) != (c.want != "") {
			t.Errorf("%s: error %v", c.in, err)
		} else if err == nil && ep.DstToString() != c.want {
			t.Errorf("%s: got %s, want %s", c.in, ep.DstToString(), c.want)
		}
	}
	n := newNode(t, Options{})
	if err := n.Send([][]byte{{1}}, n.endpoint(t, "fe80::1%nosuchlink", 1)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("send to a zone that does not exist: got %v, want ENODEV", err)
	}
}

// The cache must not grow with every spoofed address.
func TestEndpointCacheIsBounded(t *testing.T) {
	c := endpointCache{gen: new(generation)}
	for i := range 3 * maxEndpoints {
		c.get(endpointKey{remote: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})})
		if len(c.known) > maxEndpoints {
			t.Fatalf("the cache holds %d endpoints, want at most %d", len(c.known), maxEndpoints)
		}
	}
}

func TestDisabledFamilyIsNamed(t *testing.T) {
	n := newNode(t, Options{})
	b := n.Bind.(*Bind)
	p := b.open.Load()
	b.open.Store(&pair{v4: p.v4})
	defer b.open.Store(p)
	if err := n.Send([][]byte{{1}}, n.endpoint(t, "::1", 1)); !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("got %v, want EAFNOSUPPORT", err)
	}
}

// What UDP_SEGMENT does to packets must be what a plain socket would do.
func TestPlainSocketSeesSeparatePackets(t *testing.T) {
	plain, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	a := newNode(t, Options{})
	packets := numbered(10, func(int) int { return 1200 })
	a.mustSend(t, a.endpoint(t, "127.0.0.1", uint16(plain.LocalAddr().(*net.UDPAddr).Port)), packets...)
	buf := make([]byte, 65535)
	for i, want := range packets {
		n, err := plain.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if string(buf[:n]) != string(want) {
			t.Fatalf("packet %d: got %d bytes, want %d", i, n, len(want))
		}
	}
}
