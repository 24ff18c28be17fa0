package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// Two nodes in this process, without privileges, over loopback.

type stackNode struct {
	Subject
	net *netstack.Net
	key key.Private
	tun *tunnel.Tunnel // that of Subject
}

func newStackNode(t *testing.T, addr string) *stackNode {
	t.Helper()
	a := netip.MustParseAddr(addr)
	dev, stack, err := netstack.New([]netip.Addr{a}, 1420)
	if err != nil {
		t.Fatal(err)
	}
	n := &stackNode{net: stack, key: key.GeneratePrivate()}
	tn, err := tunnel.New(dev, udp.New(udp.Options{OnICMP: func(e udp.ICMPError) { n.tun.ICMP(e) }}), tunnel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tn.Close)
	n.tun = tn
	n.Subject = Subject{Interface: "test", Tunnel: tn, Prober: Stack{stack}, Local: func(x netip.Addr) bool { return x == a }}
	return n
}

// nodes brings two up; edit changes the configurations before that.
func nodes(t *testing.T, edit func(a, b *tunnel.Config)) (a, b *stackNode) {
	t.Helper()
	a, b = newStackNode(t, "10.0.0.1"), newStackNode(t, "10.0.0.2")
	config := func(n, peer *stackNode, name, addr string) tunnel.Config {
		return tunnel.Config{PrivateKey: n.key, Peers: []tunnel.PeerConfig{
			{Name: name, PublicKey: peer.key.Public(), AllowedIPs: []netip.Prefix{netip.MustParsePrefix(addr)}}}}
	}
	ca, cb := config(a, b, "bob", "10.0.0.2/32"), config(b, a, "alice", "10.0.0.1/32")
	start := func(n *stackNode, c tunnel.Config) {
		if err := n.tun.Configure(c); err != nil {
			t.Fatal(err)
		}
		if err := n.tun.Up(); err != nil {
			t.Fatal(err)
		}
	}
	if edit != nil {
		edit(&ca, &cb)
	}
	start(b, cb)
	ca.Peers[0].Endpoint = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.tun.ListenPort())
	start(a, ca)
	return a, b
}

func (n *stackNode) serve(t *testing.T) {
	t.Helper()
	l, err := n.net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

func ask(t *testing.T, n *stackNode, req Request) *diagnose.Report {
	t.Helper()
	r, err := Explain(t.Context(), n.Subject, req)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var web = Request{Target: netip.MustParseAddrPort("10.0.0.2:80")}

// The ladder is complete on both sides, and each rung has its time, in order.
func TestHealthyLadder(t *testing.T) {
	a, b := nodes(t, nil)
	b.serve(t)
	called, err := begin(t.Context(), b.Subject, Request{Target: web.Target, Passive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer called.session.Close()
	there := make(chan *diagnose.Report)
	go func() {
		r, err := called.run(t.Context())
		if err != nil {
			t.Error(err)
		}
		there <- r
	}()
	ra := ask(t, a, web)
	rb := <-there
	for _, r := range []*diagnose.Report{ra, rb} {
		if !r.Verdict.Healthy() {
			t.Errorf("%s: %s", r.Verdict.Code, r.Verdict.Summary)
		}
		var last time.Time
		for _, rung := range r.Ladder {
			here := rung.Checkpoint == probe.B5 || rung.Checkpoint == probe.B6
			if want := map[bool]diagnose.Status{false: diagnose.Pass, true: diagnose.NotNeeded}[here]; rung.Status != want {
				t.Errorf("%v is %s, want %s", rung.Checkpoint, rung.Status, want)
			}
			if !here && !rung.Time.After(last) {
				t.Errorf("%v at %v is not after the one before", rung.Checkpoint, rung.Time)
			}
			if !here {
				last = rung.Time
			}
		}
	}
	if len(ra.Ladder) != 6 || len(rb.Ladder) != 8 {
		t.Errorf("%d and %d rungs", len(ra.Ladder), len(rb.Ladder))
	}
}

func TestVerdictsWithoutPrivileges(t *testing.T) {
	stranger := key.GeneratePrivate().Public()
	for _, c := range []struct {
		edit func(a, b *tunnel.Config)
		req  Request
		want diagnose.Code
	}{
		{nil, Request{Target: netip.MustParseAddrPort("10.0.0.2:0")}, diagnose.Healthy},
		{nil, Request{Target: netip.MustParseAddrPort("10.0.0.2:81")}, diagnose.ConnectionRefused},
		{nil, Request{Target: netip.MustParseAddrPort("10.7.7.7:80")}, diagnose.NoAllowedIPsMatch},
		{func(_, b *tunnel.Config) { b.Peers[0].PresharedKey[0] = 1 }, web, diagnose.PSKMismatch},
		{func(_, b *tunnel.Config) { b.Peers = nil }, web, diagnose.NoResponse},
		{func(a, _ *tunnel.Config) { a.Peers[0].PublicKey = stranger }, web, diagnose.NoResponse},
		{func(_, b *tunnel.Config) { b.Peers[0].AllowedIPs = nil }, web, diagnose.NoReply},
	} {
		t.Run(fmt.Sprintf("%s %v", c.want, c.req.Target), func(t *testing.T) {
			t.Parallel()
			a, b := nodes(t, c.edit)
			b.serve(t)
			r := ask(t, a, c.req)
			if r.Verdict.Code != c.want {
				t.Errorf("%s, want %s: %+v", r.Verdict.Code, c.want, r.Verdict)
			}
		})
	}
}

// A peer that went away with its session is told from one that does not reply.
func TestSessionWithoutPeer(t *testing.T) {
	a, b := nodes(t, nil)
	b.serve(t)
	if r := ask(t, a, web); !r.Verdict.Healthy() {
		t.Fatalf("%+v", r.Verdict)
	}
	b.tun.Close()
	if r := ask(t, a, web); r.Verdict.Code != diagnose.EndpointPortClosed {
		t.Errorf("%+v", r.Verdict)
	}
}

func TestDoctor(t *testing.T) {
	a, b := nodes(t, nil)
	b.serve(t)
	if r, err := Doctor(t.Context(), a.Subject, DoctorRequest{}); err != nil || r.Peers[0].Verdict.Code != diagnose.Idle {
		t.Errorf("before anything passed: %v, %+v", err, r)
	}
	provoke := DoctorRequest{For: 5 * time.Second, Provoke: true, Settled: true}
	if r, err := Doctor(t.Context(), a.Subject, provoke); err != nil || !r.Peers[0].Verdict.Healthy() {
		t.Errorf("after a handshake: %v, %+v", err, r)
	}
	stranger := key.GeneratePrivate()
	if err := a.tun.Configure(tunnel.Config{PrivateKey: stranger, Peers: []tunnel.PeerConfig{{PublicKey: b.key.Public(),
		Endpoint: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.tun.ListenPort())}}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Tunnel.InitiateHandshake(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	r, err := Doctor(t.Context(), b.Subject, DoctorRequest{For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Peers) != 1 || !slices.ContainsFunc(r.Findings, func(f diagnose.Finding) bool {
		return f.Code == diagnose.UnknownPeer && f.Peer == stranger.Public()
	}) {
		t.Errorf("%d peers, findings %+v", len(r.Peers), r.Findings)
	}
}
