package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"go.uber.org/goleak"
	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// packet is what a test received.
type packet struct {
	data []byte
	ep   conn.Endpoint
}

// node is an open Bind whose packets and ICMP errors come through channels.
type node struct {
	conn.Bind
	port    uint16
	packets chan packet
	icmp    chan ICMPError
	stopped chan error // what each receive function returned in the end
	loops   int
}

// newNode opens a Bind. All that it does later happens in the network
// namespace of the calling goroutine's thread.
func newNode(t testing.TB, o Options) *node {
	t.Helper()
	n, err := openNode(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	return n
}

func openNode(o Options) (*node, error) {
	n := &node{
		packets: make(chan packet, 4096),
		icmp:    make(chan ICMPError, 4096),
		stopped: make(chan error, 2),
	}
	o.OnICMP = func(e ICMPError) {
		e.Data = bytes.Clone(e.Data)
		n.icmp <- e
	}
	n.Bind = New(o)
	fns, port, err := n.Open(0)
	if err != nil {
		return nil, err
	}
	n.port = port
	n.loops = len(fns)
	for _, fn := range fns {
		go n.receive(fn)
	}
	return n, nil
}

// receive does what the device does, but gives up at the first error.
func (n *node) receive(fn conn.ReceiveFunc) {
	bufs := make([][]byte, n.BatchSize())
	for i := range bufs {
		bufs[i] = make([]byte, 65535)
	}
	sizes := make([]int, len(bufs))
	eps := make([]conn.Endpoint, len(bufs))
	for {
		got, err := fn(bufs, sizes, eps)
		if err != nil {
			n.stopped <- err
			return
		}
		for i := range got {
			if sizes[i] == 0 {
				continue // as the device does
			}
			n.packets <- packet{bytes.Clone(bufs[i][:sizes[i]]), eps[i]}
		}
	}
}

func (n *node) stop() {
	n.Close()
	for ; n.loops > 0; n.loops-- {
		<-n.stopped
	}
}

func (n *node) endpoint(t testing.TB, addr string, port uint16) conn.Endpoint {
	t.Helper()
	ep, err := n.ParseEndpoint(netip.AddrPortFrom(netip.MustParseAddr(addr), port).String())
	if err != nil {
		t.Fatal(err)
	}
	return ep
}

func (n *node) mustSend(t testing.TB, ep conn.Endpoint, packets ...[]byte) {
	t.Helper()
	if err := n.Send(packets, ep); err != nil {
		t.Fatal(err)
	}
}

func (n *node) nextPacket(t testing.TB) packet {
	t.Helper()
	select {
	case p := <-n.packets:
		return p
	case err := <-n.stopped:
		n.loops--
		t.Fatalf("a receive function gave up: %v", err)
	case <-patience.After():
		t.Fatal("no packet came")
	}
	panic("unreachable")
}

func (n *node) nextICMP(t testing.TB) ICMPError {
	t.Helper()
	select {
	case e := <-n.icmp:
		return e
	case err := <-n.stopped:
		n.loops--
		t.Fatalf("a receive function gave up: %v", err)
	case <-patience.After():
		t.Fatal("no ICMP error came")
	}
	panic("unreachable")
}

// numbered makes n packets of the sizes that size returns, all different.
func numbered(n int, size func(i int) int) [][]byte {
	packets := make([][]byte, n)
	for i := range packets {
		packets[i] = bytes.Repeat([]byte{byte(i)}, size(i))
		if len(packets[i]) >= 4 {
			binary.BigEndian.PutUint32(packets[i], uint32(i))
		}
	}
	return packets
}

// expect receives exactly the packets that were sent, in their order.
func (n *node) expect(t testing.TB, want [][]byte) (last packet) {
	t.Helper()
	for i, w := range want {
		last = n.nextPacket(t)
		if !bytes.Equal(last.data, w) {
			t.Fatalf("packet %d of %d: got %d bytes %.8x..., want %d bytes %.8x...",
				i, len(want), len(last.data), last.data, len(w), w)
		}
	}
	return last
}

// closedPort returns a port that was free a moment ago.
func closedPort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port)
}

// within waits until ok, for what the kernel announces to others than us.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	patience.Until(t, what, ok)
}

func closedErr(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("got %v, want net.ErrClosed", err)
}
