package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/node/internal/proxy/dns"
	"github.com/wgnode/wgnode/node/internal/proxy/forward"
	"github.com/wgnode/wgnode/node/internal/proxy/httpproxy"
	"github.com/wgnode/wgnode/node/internal/proxy/socks5"
	"github.com/wgnode/wgnode/node/port"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// ErrNeedsStack is what services are refused with where the tunnel ends in a
// network interface: there the system routes, and others serve.
var ErrNeedsStack = errors.New("only a node with a network stack of its own has services")

// services are what a node without an interface does for the programs of its
// host, and for its peers. They run from Start to Close.
type services struct {
	failed chan error // of capacity 1: of one that has ended by itself

	mu   sync.Mutex
	open []*service // guarded by mu
}

// service is one of them.
type service struct {
	want wanted
	at   string // for people: what it is, and where; "" if there is nothing to say
	stop context.CancelFunc
	done chan struct{}
}

// wanted is one service as the configuration has it.
type wanted struct {
	kind    string
	listen  string
	proxy   config.Proxy
	forward config.Forward
	routes  []config.PeerRoute
}

func (w wanted) same(o wanted) bool {
	return w.kind == o.kind && w.listen == o.listen && w.proxy.Same(o.proxy) && w.forward.Same(o.forward) &&
		slices.Equal(w.routes, o.routes)
}

// wantedOf lists what is asked for. Routing is always there, also to say no.
func wantedOf(s config.Services) []wanted {
	var all []wanted
	for _, p := range s.SOCKS5 {
		all = append(all, wanted{kind: "SOCKS5 proxy", listen: p.Listen, proxy: p})
	}
	for _, p := range s.HTTP {
		all = append(all, wanted{kind: "HTTP proxy", listen: p.Listen, proxy: p})
	}
	for _, f := range s.Forwards {
		all = append(all, wanted{kind: "forward", listen: f.Listen, forward: f})
	}
	for _, f := range s.RemoteForwards {
		all = append(all, wanted{kind: "remote forward", listen: f.Listen, forward: f})
	}
	for _, listen := range s.DNS {
		all = append(all, wanted{kind: "DNS forwarder", listen: listen})
	}
	return append(all, wanted{kind: peerRouting, routes: s.Routes})
}

// checkServices refuses what could not be done.
func checkServices(cfg *config.Config, o *Options) error {
	s := cfg.Services.Join(o.Services)
	switch {
	case !o.Netstack && s.Any():
		return fmt.Errorf("%s: %w", s.First(), ErrNeedsStack)
	case len(s.DNS) > 0 && len(cfg.Interface.DNS) == 0:
		return errors.New("dns: the configuration names no name servers of the tunnel to forward to")
	}
	return nil
}

// inside is the tunnel for services: what no peer is allowed is refused at once,
// instead of dropped on the way.
func (n *Node) inside() *netstack.Net {
	return n.net.Checked(func(a netip.Addr) error {
		if _, ok := n.tun.Lookup(a); ok || n.hasAddress(a) {
			return nil
		}
		return fmt.Errorf("%s is in no peer's AllowedIPs: %w", a, syscall.ENETUNREACH)
	})
}

// DialContext connects through the tunnel of a node without an interface, as
// net.Dialer's does. Unlike that of [Node.Net] it refuses at once what no peer is
// allowed.
func (n *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if n.net == nil {
		return nil, fmt.Errorf("dial %s: %w", address, ErrNeedsStack)
	}
	return n.inside().DialContext(ctx, network, address)
}

// resolverOf asks cfg's name servers through the tunnel.
func (n *Node) resolverOf(cfg *config.Config) *netstack.Resolver {
	r := &netstack.Resolver{Dial: n.inside().DialContext, Search: cfg.Interface.Search,
		PreferIPv4: cfg.Services.Join(n.opt.Services).PreferIPv4}
	for _, a := range cfg.Interface.DNS {
		r.Servers = append(r.Servers, netip.AddrPortFrom(a, 53))
	}
	return r
}

// serveConfig makes the services those of cfg. Those that stay as they are are
// not disturbed. If one cannot be had, all are as before, and the error says why.
func (n *Node) serveConfig(cfg *config.Config, say func(format string, args ...any)) error {
	n.net.SetResolver(n.resolverOf(cfg))
	s := &n.services
	s.mu.Lock()
	defer s.mu.Unlock()
	want := wantedOf(cfg.Services.Join(n.opt.Services))
	var keep, drop []*service
	for _, one := range s.open {
		i := slices.IndexFunc(want, one.want.same)
		if i < 0 {
			drop = append(drop, one)
			continue
		}
		keep = append(keep, one)
		want = slices.Delete(want, i, i+1)
	}
	// What changes may keep its address, so the old goes first.
	var was []wanted
	for _, one := range drop {
		one.end()
		was = append(was, one.want)
	}
	fresh, err := n.openAll(want)
	if err != nil {
		n.net.SetResolver(n.resolverOf(n.Config()))
		old, oldErr := n.openAll(was)
		s.open = append(keep, old...)
		return errors.Join(err, oldErr)
	}
	for _, one := range drop {
		if one.at != "" {
			say("[#] no %s", one.at)
		}
	}
	for _, one := range fresh {
		if one.at != "" {
			say("[#] %s", one.at)
		}
	}
	s.open = append(keep, fresh...)
	return nil
}

// openAll opens all or none.
func (n *Node) openAll(want []wanted) ([]*service, error) {
	var open []*service
	for _, w := range want {
		one, err := n.openService(w)
		if err != nil {
			for _, one := range open {
				one.end()
			}
			if w.listen == "" {
				return nil, fmt.Errorf("%s: %w", w.kind, err)
			}
			return nil, fmt.Errorf("%s at %s: %w", w.kind, w.listen, err)
		}
		open = append(open, one)
	}
	return open, nil
}

// openService listens, and serves from then on.
func (n *Node) openService(w wanted) (*service, error) {
	inside := n.inside()
	opt := proxy.Options{Logger: n.opt.Logger.With("interface", n.name), IdleTime: w.forward.IdleTime}
	known := proxy.Credentials{User: w.proxy.User, Password: string(w.proxy.Password)}
	switch w.kind {
	case "SOCKS5 proxy", "HTTP proxy":
		l, err := listenHere("tcp", w.listen)
		if err != nil {
			return nil, err
		}
		serve := httpproxy.Serve
		if w.kind == "SOCKS5 proxy" {
			serve = socks5.Serve
		}
		return n.startAt(w, l.Addr(), func(ctx context.Context) error { return serve(ctx, l, inside, known, opt) }), nil
	case "forward":
		return n.openForward(w, listenHere, listenPacketHere, inside, opt)
	case "remote forward":
		if err := n.ownHost(w.listen); err != nil {
			return nil, err
		}
		return n.openForward(w, n.net.Listen, n.net.ListenPacket, proxy.Host{}, opt)
	case peerRouting:
		return n.openRouting(w, opt)
	}
	return n.openDNS(w, opt)
}

func (n *Node) openForward(w wanted, listen func(network, address string) (net.Listener, error),
	listenPacket func(network, address string) (net.PacketConn, error), to proxy.Network, opt proxy.Options) (*service, error) {
	f := w.forward
	if f.Protocol == "udp" {
		c, err := listenPacket("udp", f.Listen)
		if err != nil {
			return nil, err
		}
		return n.startAt(w, c.LocalAddr(), func(ctx context.Context) error { return forward.UDP(ctx, c, f.To, to, opt) }), nil
	}
	l, err := listen("tcp", f.Listen)
	if err != nil {
		return nil, err
	}
	return n.startAt(w, l.Addr(), func(ctx context.Context) error { return forward.TCP(ctx, l, f.To, to, opt) }), nil
}

// listenHere is net.Listen, but 0.0.0.0 means IPv4 alone, as it says.
func listenHere(network, address string) (net.Listener, error) {
	l, err := net.Listen(familyOf(network, address), address)
	return l, port.ExplainListen(err, network, address)
}

// listenPacketHere is to net.ListenPacket what listenHere is to net.Listen.
func listenPacketHere(network, address string) (net.PacketConn, error) {
	c, err := net.ListenPacket(familyOf(network, address), address)
	return c, port.ExplainListen(err, network, address)
}

// familyOf is network, with a 4 if the address is one of IPv4.
func familyOf(network, address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		return network + "4"
	}
	return network
}

// ownHost refuses an address to listen at that is not the node's. The stack would
// take any.
func (n *Node) ownHost(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host == "" {
		return err
	}
	a, err := netip.ParseAddr(host)
	if err == nil && !a.IsUnspecified() && !n.hasAddress(a) {
		return fmt.Errorf("%s is not an address of %s", a, n.name)
	}
	return err
}

// openDNS listens for UDP and TCP at one port.
func (n *Node) openDNS(w wanted, opt proxy.Options) (*service, error) {
	l, err := listenHere("tcp", w.listen)
	if err != nil {
		return nil, err
	}
	c, err := listenPacketHere("udp", l.Addr().String())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	to := currentServers{n}
	return n.startAt(w, l.Addr(), func(ctx context.Context) error {
		return runTasks(ctx, []task{
			taskFunc{"DNS by UDP", func(ctx context.Context) error { return dns.UDP(ctx, c, to, opt) }},
			taskFunc{"DNS by TCP", func(ctx context.Context) error { return dns.TCP(ctx, l, to, opt) }},
		})
	}), nil
}

// currentServers are the name servers of the configuration as it is by now.
type currentServers struct{ n *Node }

func (c currentServers) Exchange(ctx context.Context, network string, query []byte) ([]byte, error) {
	return c.n.resolverOf(c.n.Config()).Exchange(ctx, network, query)
}

// startAt has serve run until the service ends, which is at an address.
func (n *Node) startAt(w wanted, at net.Addr, serve func(context.Context) error) *service {
	words := fmt.Sprintf("%s at %s", w.kind, strings.TrimPrefix(at.String(), "<nil>"))
	if w.forward.To != "" {
		words = fmt.Sprintf("%s %s %s to %s", w.kind, w.forward.Protocol, at, w.forward.To)
	}
	return n.start(w, words, serve)
}

// start has serve run until the service ends. For at see [service].
func (n *Node) start(w wanted, at string, serve func(context.Context) error) *service {
	ctx, stop := context.WithCancel(context.Background())
	one := &service{want: w, at: at, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(one.done)
		defer stop()
		if err := serve(ctx); err != nil {
			select {
			case n.services.failed <- err:
			default: // one is enough to end the node
			}
		}
	}()
	return one
}

// end returns when all that the service has begun has ended.
func (s *service) end() {
	s.stop()
	<-s.done
}

// close ends all services.
func (s *services) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.open {
		one.stop()
	}
	for _, one := range s.open {
		one.end()
	}
	s.open = nil
}

// servicesTask ends the node when a service cannot go on.
type servicesTask struct{ s *services }

func (servicesTask) String() string { return "serve" }

func (t servicesTask) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-t.s.failed:
		return err
	}
}

// taskFunc is a task of one function.
type taskFunc struct {
	name string
	run  func(context.Context) error
}

func (t taskFunc) String() string                { return t.name }
func (t taskFunc) Run(ctx context.Context) error { return t.run(ctx) }
