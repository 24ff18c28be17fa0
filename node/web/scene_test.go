package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/recording"
)

// hostile is a name as nobody would have for a peer, but who means harm.
const hostile = `<img src=x onerror=alert(1)>`

// scene is a hub with peers that fare differently, each end a node in this process that talks over
// loopback. It needs no privileges.
type scene struct {
	t    testing.TB
	dir  string // of control sockets
	hub  *node.Node
	keys map[string]key.Private
	up   map[string]*node.Node
	stop map[string]func()
	hubs *config.Config
}

var (
	hubAddr = netip.MustParseAddr("10.77.0.1")
	called  = []string{"office", "laptop", "phone", hostile} // in the order of their addresses
)

func addrOf(name string) netip.Addr {
	a := hubAddr
	for _, n := range called {
		if a = a.Next(); n == name {
			return a
		}
	}
	panic("no peer " + name)
}

// newScene brings up the hub, and office, which it can reach. laptop has another preshared key than
// the hub has for it; nobody has seen the others yet.
func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), keys: map[string]key.Private{"hub": key.GeneratePrivate()},
		up: make(map[string]*node.Node), stop: make(map[string]func())}
	s.hubs = &config.Config{Name: "wg-hub", Interface: config.Interface{PrivateKey: s.keys["hub"],
		Addresses: []netip.Prefix{netip.PrefixFrom(hubAddr, 24)}}}
	for _, name := range called {
		s.keys[name] = key.GeneratePrivate()
		s.hubs.Peers = append(s.hubs.Peers, config.Peer{Name: name, PublicKey: s.keys[name].Public(),
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(addrOf(name), 32)}})
	}
	s.hubs.Peers[1].PresharedKey = key.GeneratePreshared()
	for i, name := range []string{"office", "laptop"} {
		s.join(name)
		s.hubs.Peers[i].Endpoint = fmt.Sprintf("127.0.0.1:%d", s.up[name].Tunnel().ListenPort())
	}
	s.hub = s.start("hub", s.hubs)
	l, err := s.up["office"].Net().Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 20_000)) }))
	}()
	return s
}

// join brings up the node of a peer.
func (s *scene) join(name string) {
	s.t.Helper()
	p := config.Peer{Name: "hub", PublicKey: s.keys["hub"].Public(), AllowedIPs: []netip.Prefix{netip.PrefixFrom(hubAddr, 24).Masked()}}
	s.start(name, &config.Config{Name: "wg-" + name, Peers: []config.Peer{p},
		Interface: config.Interface{PrivateKey: s.keys[name], Addresses: []netip.Prefix{netip.PrefixFrom(addrOf(name), 24)}}})
}

func (s *scene) start(name string, cfg *config.Config) *node.Node {
	s.t.Helper()
	n, err := node.Start(s.t.Context(), cfg, node.Options{Netstack: true, NoUAPI: true, RunDir: s.dir, RecorderBytes: 1 << 20})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	stopped := false
	s.up[name] = n
	s.stop[name] = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-ran, n.Close()); err != nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(s.stop[name])
	return n
}

// fetch has the hub fetch something from office.
func (s *scene) fetch() error {
	client := http.Client{Timeout: patience.Limit(), Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return s.hub.Net().DialContext(ctx, "tcp", addrOf("office").String()+":80")
		}}}
	res, err := client.Get("http://" + addrOf("office").String() + "/")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// probe has the hub probe a peer.
func (s *scene) probe(name string) *diagnose.Report {
	s.t.Helper()
	r, err := s.client("wg-hub").Explain(patience.Context(s.t), explain.Request{Target: netip.AddrPortFrom(addrOf(name), 0)})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// record has a node record into a file, with the latest minute, until end is called.
func (s *scene) record(name, path string) (end func()) {
	s.t.Helper()
	out, err := recording.Create(path, recording.OutputOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	c := s.client(name)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	into := &begins{Output: out, begun: make(chan struct{})}
	go func() {
		lost, err := c.Record(ctx, control.RecordRequest{Since: time.Minute, Snaplen: recording.Headers, NoKernel: true}, into)
		if err == nil {
			err = out.Close(lost)
		}
		done <- err
	}()
	return func() {
		s.t.Helper()
		patience.Receive(s.t, "the beginning of the recording", into.begun)
		cancel()
		if err := patience.Receive(s.t, "the end of the recording", done); err != nil {
			s.t.Fatal(err)
		}
	}
}

// begins is a recording that tells when it has begun.
type begins struct {
	*recording.Output
	begun chan struct{}
}

func (b *begins) Begin(m *recording.Meta) error {
	defer close(b.begun)
	return b.Output.Begin(m)
}

func (s *scene) client(name string) *control.Client {
	s.t.Helper()
	c, err := rundir.Dial(s.dir, name)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// Client implements [Host].
func (s *scene) Client(name string) (*control.Client, error) { return rundir.Dial(s.dir, name) }

// Overview implements [Host], of the hub alone.
func (s *scene) Overview(ctx context.Context, names []string, req overview.Request) *overview.Overview {
	o := &overview.Overview{At: time.Now(), Host: "here"}
	if len(names) == 0 {
		names = []string{"wg-hub"}
	}
	for _, name := range names {
		c, err := s.Client(name)
		var t *overview.Tunnel
		if err == nil {
			t, err = c.Overview(ctx, req)
		}
		if err != nil {
			t = &overview.Tunnel{Interface: name, State: overview.Running, Error: err.Error()}
		}
		o.Tunnels = append(o.Tunnels, *t)
	}
	return o
}

// target reads a destination for [Options.Target].
func (s *scene) target(_ context.Context, _, dest string) (netip.AddrPort, bool, error) {
	a, err := parseAddress(dest)
	return a, false, err
}

// serve serves the page of a scene, and returns its link. change, if not nil, changes its options.
func (s *scene) serve(change func(*Options)) (server *Server, link string) {
	s.t.Helper()
	o := Options{Host: func(context.Context) Host { return s }, Target: s.target}
	if change != nil {
		change(&o)
	}
	server = New(o)
	l, err := Listen("127.0.0.1:0", false)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	s.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, server.Close()); err != nil {
			s.t.Error(err)
		}
	})
	return server, server.Link(l)
}

// originOf is the origin of a link.
func originOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host
}
