package tunnel

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// end is one end of a tunnel under test.
type end struct {
	*Tunnel
	tun  *tunneltest.TUN
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
	dev := tunneltest.NewTUN()
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

// set applies a UAPI set operation.
func (e *end) set(config string) error { return e.keep.Set(config, false) }

func (e *end) send(pkts ...[]byte) { e.tun.In <- pkts }

// receive returns the next packet that comes out of the tunnel here.
func (e *end) receive(t testing.TB) []byte {
	t.Helper()
	return patience.Receive(t, "a packet to come through", e.tun.Out)
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }
