package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// names is a resolver whose names can appear.
type names struct {
	mu   sync.Mutex
	addr map[string]netip.Addr
}

func (n *names) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a, ok := n.addr[host]; ok {
		return []netip.Addr{a}, nil
	}
	return nil, errors.New("no such host")
}

func (n *names) add(host, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr[host] = netip.MustParseAddr(addr)
}

func endpointOf(t *testing.T, n *Node, k key.Public) netip.AddrPort {
	t.Helper()
	s, ok := n.tun.StateOf(k)
	if !ok {
		t.Fatalf("no peer %s", k)
	}
	return s.Endpoint
}

// A name that appears after the start is found; a peer that has called
// meanwhile keeps its endpoint.
func TestEndpointsAppear(t *testing.T) {
	late, roamed, literal := key.GeneratePrivate().Public(), key.GeneratePrivate().Public(), key.GeneratePrivate().Public()
	cfg := parse(t, "x", fmt.Sprintf(`[Interface]
PrivateKey=%s
[Peer]
PublicKey=%s
Endpoint=late.example:51820
[Peer]
PublicKey=%s
Endpoint=roamed.example:51820
[Peer]
PublicKey=%s
Endpoint=[2001:db8::1]:7
`, key.GeneratePrivate().Base64(), late, roamed, literal))
	zone := &names{addr: make(map[string]netip.Addr)}
	log := make(lines, 100)
	n := newNode(cfg, Options{Logger: slog.New(slog.NewTextHandler(log, nil)), NoUAPI: true, NoControl: true,
		RunDir: t.TempDir()}, &userspaceStack{})
	n.endpoints.Store(endpoint.New(cfg, zone.lookup))
	var said strings.Builder
	n.endpoints.Load().Resolve(t.Context(), func(f string, a ...any) { fmt.Fprintf(&said, f+"\n", a...) })
	if strings.Count(said.String(), "no such host") != 2 {
		t.Errorf("it said\n%s", &said)
	}
	if err := n.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got := endpointOf(t, n, literal); got != netip.MustParseAddrPort("[2001:db8::1]:7") {
		t.Errorf("the literal endpoint is %s", got)
	}
	if written, err := n.Endpoint(late); written != "late.example:51820" || err == nil {
		t.Errorf("late: %q, %v", written, err)
	}
	elsewhere := netip.MustParseAddrPort("192.0.2.9:9")
	if err := n.tun.SetEndpoint(roamed, elsewhere); err != nil {
		t.Fatal(err)
	}
	zone.add("late.example", "192.0.2.1")
	zone.add("roamed.example", "192.0.2.2")
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	for resolved := 0; resolved < 2; {
		select {
		case line := <-log:
			if strings.Contains(line, "endpoint resolved") {
				resolved++
			}
		case <-patience.After():
			t.Fatal("the names were not found")
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if got := endpointOf(t, n, late); got != netip.MustParseAddrPort("192.0.2.1:51820") {
		t.Errorf("late is at %s", got)
	}
	if got := endpointOf(t, n, roamed); got != elsewhere {
		t.Errorf("roamed is at %s", got)
	}
	if _, err := n.Endpoint(late); err != nil {
		t.Errorf("late still has the error %v", err)
	}
}

func TestTunnelConfig(t *testing.T) {
	a, b := key.GeneratePrivate().Public(), key.GeneratePrivate().Public()
	cfg := parse(t, "x", fmt.Sprintf(`[Interface]
ListenPort=7
[Peer]
# Name = a
PublicKey=%[1]s
AllowedIPs=10.0.0.0/8, 10.1.0.0/16
Endpoint=192.0.2.1:1
[Peer]
PublicKey=%[2]s
AllowedIPs=10.1.0.0/16
[Peer]
PublicKey=%[1]s
AllowedIPs=+10.2.0.0/16
PersistentKeepalive=5
`, a, b))
	es := endpoint.New(cfg, nil)
	es.Resolve(t.Context(), func(f string, a ...any) { t.Errorf(f, a...) })
	c := stated(cfg, es, 0)
	if len(c.Peers) != 2 || c.ListenPort == nil || *c.ListenPort != 7 {
		t.Fatalf("got %+v", c)
	}
	pa, pb := c.Peers[0], c.Peers[1]
	if pa.Keepalive == nil || *pa.Keepalive != 5 || pa.Endpoint.String() != "192.0.2.1:1" || !pa.ReplaceIPs ||
		fmt.Sprint(pa.AllowedIPs) != "[10.0.0.0/8 10.2.0.0/16]" {
		t.Errorf("the peer of two sections: %+v", pa)
	}
	if pb.PublicKey != b || fmt.Sprint(pb.AllowedIPs) != "[10.1.0.0/16]" {
		t.Errorf("the other: %+v", pb)
	}
	if c.PrivateKey != nil || c.FwMark != nil || pa.PresharedKey != nil || pb.Keepalive != nil {
		t.Errorf("it asks for what is not stated: %+v", c)
	}
	if got := stated(&config.Config{}, endpoint.New(&config.Config{}, nil), 0); !got.IsZero() {
		t.Errorf("of nothing: %+v", got)
	}
}
