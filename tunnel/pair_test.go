package tunnel

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// memTUN is a TUN device in memory: what is put into in is read by the tunnel,
// what the tunnel writes comes out of out. Reads are batches.
type memTUN struct {
	in     chan [][]byte
	out    chan []byte
	events chan tun.Event
	once   sync.Once
	closed chan struct{}
}

func newMemTUN() *memTUN {
	m := &memTUN{in: make(chan [][]byte), out: make(chan []byte, 1<<17), events: make(chan tun.Event, 1), closed: make(chan struct{})}
	m.events <- tun.EventUp
	return m
}

func (m *memTUN) File() *os.File           { return nil }
func (m *memTUN) MTU() (int, error)        { return 1420, nil }
func (m *memTUN) Name() (string, error)    { return "mem", nil }
func (m *memTUN) Events() <-chan tun.Event { return m.events }
func (m *memTUN) BatchSize() int           { return conn.IdealBatchSize }

func (m *memTUN) Close() error {
	m.once.Do(func() { close(m.closed); close(m.events) })
	return nil
}

func (m *memTUN) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	select {
	case <-m.closed:
		return 0, os.ErrClosed
	case pkts := <-m.in:
		for i, p := range pkts {
			sizes[i] = copy(bufs[i][offset:], p)
		}
		return len(pkts), nil
	}
}

func (m *memTUN) Write(bufs [][]byte, offset int) (int, error) {
	for _, b := range bufs {
		select {
		case <-m.closed:
			return 0, os.ErrClosed
		case m.out <- append([]byte(nil), b[offset:]...):
		}
	}
	return len(bufs), nil
}

// end is one end of a tunnel under test.
type end struct {
	*Tunnel
	tun  *memTUN
	key  key.Private
	addr netip.Addr
}

// pair makes two tunnels over loopback, with addresses 10.0.0.1 and 10.0.0.2.
// Only a has an endpoint for the other. edit may change the configurations.
func pair(t testing.TB, edit func(a, b *Config)) (a, b *end) {
	t.Helper()
	a, b = newEnd(t, "10.0.0.1"), newEnd(t, "10.0.0.2")
	ca, cb := a.configFor(b), b.configFor(a)
	if edit != nil {
		edit(&ca, &cb)
	}
	b.start(t, cb)
	for i := range ca.Peers {
		if ca.Peers[i].PublicKey == b.key.Public() && !ca.Peers[i].Endpoint.IsValid() {
			ca.Peers[i].Endpoint = b.endpoint()
		}
	}
	a.start(t, ca)
	return a, b
}

func newEnd(t testing.TB, addr string) *end {
	t.Helper()
	dev := newMemTUN()
	tn, err := New(dev, testBind(), Options{RecorderBytes: 32 << 20, Errorf: func(f string, a ...any) { t.Logf("device: "+f, a...) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tn.Close)
	return &end{Tunnel: tn, tun: dev, key: key.GeneratePrivate(), addr: netip.MustParseAddr(addr)}
}

func (e *end) configFor(o *end) Config {
	return Config{PrivateKey: e.key, Peers: []PeerConfig{{Name: o.addr.String(), PublicKey: o.key.Public(),
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(o.addr, o.addr.BitLen())}}}}
}

func (e *end) start(t testing.TB, c Config) {
	t.Helper()
	if err := e.Configure(c); err != nil {
		t.Fatal(err)
	}
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
}

func (e *end) endpoint() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.ListenPort())
}

func (e *end) send(pkts ...[]byte) { e.tun.in <- pkts }

// receive returns the next packet that comes out of the tunnel here.
func (e *end) receive(t testing.TB) []byte {
	t.Helper()
	return patience.Receive(t, "a packet to come through", e.tun.out)
}

// udp4 is an inner UDP packet over IPv4 with a payload of n bytes.
func udp4(src, dst netip.Addr, sport, dport uint16, n int) []byte {
	b := make([]byte, 28+n)
	b[0], b[8], b[9] = 0x45, 64, 17
	b[2], b[3] = byte(len(b)>>8), byte(len(b))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	b[20], b[21], b[22], b[23] = byte(sport>>8), byte(sport), byte(dport>>8), byte(dport)
	b[24], b[25] = byte((8+n)>>8), byte(8+n)
	return b
}

// await reads events until ok accepts one.
func await(t testing.TB, s *probe.Subscription, what string, ok func(*probe.Event) bool) probe.Event {
	t.Helper()
	ctx := patience.Context(t)
	buf := make([]probe.Event, 1) // none may be taken and not looked at
	var seen []string
	for {
		n, err := s.Read(ctx, buf)
		if err != nil {
			t.Fatalf("no event: %s; seen:\n%v", what, seen)
		}
		for i := range buf[:n] {
			if ok(&buf[i]) {
				return buf[i]
			}
			seen = append(seen, fmt.Sprintf("%v %v %v %v peer %d\n", buf[i].Seam, buf[i].Checkpoint, buf[i].Kind, buf[i].Reason, buf[i].Peer))
		}
	}
}
