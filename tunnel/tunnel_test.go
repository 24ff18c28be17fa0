package tunnel

import (
	"net/netip"
	"slices"
	"testing"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

func testBind() conn.Bind { return conn.NewDefaultBind() }

// The ladder of a first packet and its reply, on both ends.
func TestLadder(t *testing.T) {
	a, b := pair(t, nil)
	wa := a.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
	wb := b.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
	defer wa.Close()
	defer wb.Close()
	a.send(tunneltest.UDP4(a.addr, b.addr, 4000, 53, 100))
	b.receive(t)
	b.send(tunneltest.UDP4(b.addr, a.addr, 53, 4000, 200))
	a.receive(t)
	for _, want := range []probe.Checkpoint{probe.A1, probe.A2, probe.A3, probe.A4, probe.A5, probe.A6} {
		e := tunneltest.Await(t, wa, want.String(), func(e *probe.Event) bool { return e.Checkpoint == want && e.Seam != probe.SeamDevice })
		if e.Peer == 0 || e.Dropped() {
			t.Errorf("%v: peer %d, reason %v", want, e.Peer, e.Reason)
		}
	}
	for _, want := range []probe.Checkpoint{probe.B1, probe.B2, probe.B3, probe.B4, probe.B7, probe.B8} {
		e := tunneltest.Await(t, wb, want.String(), func(e *probe.Event) bool { return e.Checkpoint == want && e.Kind != probe.KindKeepalive })
		if e.Peer == 0 || e.Dropped() {
			t.Errorf("%v: peer %d, reason %v", want, e.Peer, e.Reason)
		}
	}
	for _, c := range []Counters{a.Counters(), b.Counters()} {
		if c.Untagged != 0 || c.Mismatches != 0 {
			t.Errorf("counters: %+v", c)
		}
	}
}

// IPv6 within IPv6.
func TestLadderIPv6(t *testing.T) {
	a, b := newEnd(t, "fd00::1"), newEnd(t, "fd00::2")
	b.start(t, b.configFor(a))
	c := a.configFor(b)
	c.Peers[0].Endpoint = netip.AddrPortFrom(netip.IPv6Loopback(), b.ListenPort())
	a.start(t, c)
	w := a.Recorder().Subscribe(probe.SubscribeOptions{Past: true})
	defer w.Close()
	a.send(tunneltest.TCP6(a.addr, b.addr))
	b.receive(t)
	reply := tunneltest.TCP6(b.addr, a.addr)
	reply[40], reply[41], reply[42], reply[43] = reply[42], reply[43], reply[40], reply[41]
	b.send(reply)
	a.receive(t)
	for _, want := range []probe.Checkpoint{probe.A1, probe.A4, probe.A5, probe.A6} {
		e := tunneltest.Await(t, w, want.String(), func(e *probe.Event) bool { return e.Checkpoint == want && e.Kind != probe.KindKeepalive })
		src, dst := e.Inner()
		if want >= probe.A5 {
			src, dst = dst, src
		}
		if src.Addr() != a.addr || dst.Addr() != b.addr || e.Peer != 1 || e.Prefix() != netip.PrefixFrom(b.addr, 128) {
			t.Errorf("%v: %v > %v, peer %d by %v", want, src, dst, e.Peer, e.Prefix())
		}
		if _, to := e.Outer(); want == probe.A4 && to != c.Peers[0].Endpoint {
			t.Errorf("sent to %v, want %v", to, c.Peers[0].Endpoint)
		}
	}
}

// Many peers are configured part by part, and all are found afterwards; the
// prefix that two of them claim belongs to the later.
func TestManyPeers(t *testing.T) {
	e := newEnd(t, "10.0.0.1")
	const count = 2*mirror.Part + 10
	c := Config{PrivateKey: e.key}
	for i := range count {
		k := key.Public{byte(i), byte(i >> 8), 1}
		a := netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)})
		c.Peers = append(c.Peers, PeerConfig{PublicKey: k, AllowedIPs: []netip.Prefix{netip.PrefixFrom(a, 32)}})
	}
	last := &c.Peers[count-1]
	last.Name, last.AllowedIPs = "last", append(last.AllowedIPs, c.Peers[0].AllowedIPs[0])
	var told []int
	e.start(t, Config{PrivateKey: e.key})
	if err := e.Apply(c.change(), func(peers int) { told = append(told, peers) }); err != nil {
		t.Fatal(err)
	}
	e.Name(last.PublicKey, last.Name)
	if want := []int{mirror.Part, 2 * mirror.Part, count}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	for i := range c.Peers {
		want := c.Peers[i].PublicKey
		if i == 0 {
			want = last.PublicKey
		}
		r, ok := e.Lookup(c.Peers[i].AllowedIPs[0].Addr())
		if k, _, _ := e.Peer(r.Peer); !ok || k != want {
			t.Fatalf("%v belongs to %v", c.Peers[i].AllowedIPs[0], r)
		}
	}
	if r, _ := e.Lookup(last.AllowedIPs[0].Addr()); e.PeerState(r.Peer).Name != "last" {
		t.Errorf("the last one is %+v", e.PeerState(r.Peer))
	}
}
