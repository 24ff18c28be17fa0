package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	"github.com/wgnode/wgnode/node/internal/task"
	"github.com/wgnode/wgnode/node/port"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// ErrNeedsStack is what services are refused with where the tunnel ends in a
// network interface: there the system routes, and others serve.
var ErrNeedsStack = errors.New("only a node with a network stack of its own has services")

// Tunnel is what services are of.
type Tunnel struct {
	Name   string
	Stack  *netstack.Net
	Device *tunnel.Tunnel
	// Config is the configuration as it is by now. Extra are services beside those of it.
	Config func() *config.Config
	Extra  config.Services
	Log    *slog.Logger
}

// Services run from the first [Services.Serve] to [Services.Close].
type Services struct {
	of     Tunnel
	failed chan error // of capacity 1: of one that has ended by itself

	mu   sync.Mutex
	open []*service // guarded by mu
}

// New returns the services of a tunnel, none yet.
func New(of Tunnel) *Services { return &Services{of: of, failed: make(chan error, 1)} }

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

// Check refuses what could not be done of extra and the services of cfg.
func Check(cfg *config.Config, extra config.Services, stack bool) error {
	s := cfg.Services.Join(extra)
	switch {
	case !stack && s.Any():
		return fmt.Errorf("%s: %w", s.First(), ErrNeedsStack)
	case len(s.DNS) > 0 && len(cfg.Interface.DNS) == 0:
		return errors.New("dns: the configuration names no name servers of the tunnel to forward to")
	}
	return nil
}

// Inside is the tunnel for services: what no peer is allowed is refused at once,
// instead of dropped on the way.
func (s *Services) Inside() *netstack.Net {
	return s.of.Stack.Checked(func(a netip.Addr) error {
		if _, ok := s.of.Device.Lookup(a); ok || s.hasAddress(a) {
			return nil
		}
		return fmt.Errorf("%s is in no peer's AllowedIPs: %w", a, syscall.ENETUNREACH)
	})
}

// resolverOf asks cfg's name servers through the tunnel.
func (s *Services) resolverOf(cfg *config.Config) *netstack.Resolver {
	r := &netstack.Resolver{Dial: s.Inside().DialContext, Search: cfg.Interface.Search,
		PreferIPv4: cfg.Services.Join(s.of.Extra).PreferIPv4}
	for _, a := range cfg.Interface.DNS {
		r.Servers = append(r.Servers, netip.AddrPortFrom(a, 53))
	}
	return r
}

// Serve makes the services those of cfg. Those that stay as they are are
// not disturbed. If one cannot be had, all are as before, and the error says why.
func (s *Services) Serve(cfg *config.Config, say func(format string, args ...any)) error {
	s.of.Stack.SetResolver(s.resolverOf(cfg))
	s.mu.Lock()
	defer s.mu.Unlock()
	want := wantedOf(cfg.Services.Join(s.of.Extra))
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
	fresh, err := s.openAll(want)
	if err != nil {
		s.of.Stack.SetResolver(s.resolverOf(s.of.Config()))
		old, oldErr := s.openAll(was)
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
func (s *Services) openAll(want []wanted) ([]*service, error) {
	var open []*service
	for _, w := range want {
		one, err := s.openService(w)
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
func (s *Services) openService(w wanted) (*service, error) {
	inside := s.Inside()
	opt := proxy.Options{Logger: s.of.Log, IdleTime: w.forward.IdleTime}
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
		return s.startAt(w, l.Addr(), func(ctx context.Context) error { return serve(ctx, l, inside, known, opt) }), nil
	case "forward":
		return s.openForward(w, listenHere, listenPacketHere, inside, opt)
	case "remote forward":
		if err := s.ownHost(w.listen); err != nil {
			return nil, err
		}
		return s.openForward(w, s.of.Stack.Listen, s.of.Stack.ListenPacket, proxy.Host{}, opt)
	case peerRouting:
		return s.openRouting(w, opt)
	}
	return s.openDNS(w, opt)
}

func (s *Services) openForward(w wanted, listen func(network, address string) (net.Listener, error),
	listenPacket func(network, address string) (net.PacketConn, error), to proxy.Network, opt proxy.Options) (*service, error) {
	f := w.forward
	if f.Protocol == "udp" {
		c, err := listenPacket("udp", f.Listen)
		if err != nil {
			return nil, err
		}
		return s.startAt(w, c.LocalAddr(), func(ctx context.Context) error { return forward.UDP(ctx, c, f.To, to, opt) }), nil
	}
	l, err := listen("tcp", f.Listen)
	if err != nil {
		return nil, err
	}
	return s.startAt(w, l.Addr(), func(ctx context.Context) error { return forward.TCP(ctx, l, f.To, to, opt) }), nil
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
func (s *Services) ownHost(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host == "" {
		return err
	}
	a, err := netip.ParseAddr(host)
	if err == nil && !a.IsUnspecified() && !s.hasAddress(a) {
		return fmt.Errorf("%s is not an address of %s", a, s.of.Name)
	}
	return err
}

// openDNS listens for UDP and TCP at one port.
func (s *Services) openDNS(w wanted, opt proxy.Options) (*service, error) {
	l, err := listenHere("tcp", w.listen)
	if err != nil {
		return nil, err
	}
	c, err := listenPacketHere("udp", l.Addr().String())
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	to := currentServers{s}
	return s.startAt(w, l.Addr(), func(ctx context.Context) error {
		return task.Run(ctx, []task.Task{
			task.Func{Name: "DNS by UDP", Do: func(ctx context.Context) error { return dns.UDP(ctx, c, to, opt) }},
			task.Func{Name: "DNS by TCP", Do: func(ctx context.Context) error { return dns.TCP(ctx, l, to, opt) }},
		})
	}), nil
}

// currentServers are the name servers of the configuration as it is by now.
type currentServers struct{ s *Services }

func (c currentServers) Exchange(ctx context.Context, network string, query []byte) ([]byte, error) {
	return c.s.resolverOf(c.s.of.Config()).Exchange(ctx, network, query)
}

// startAt has serve run until the service ends, which is at an address.
func (s *Services) startAt(w wanted, at net.Addr, serve func(context.Context) error) *service {
	words := fmt.Sprintf("%s at %s", w.kind, strings.TrimPrefix(at.String(), "<nil>"))
	if w.forward.To != "" {
		words = fmt.Sprintf("%s %s %s to %s", w.kind, w.forward.Protocol, at, w.forward.To)
	}
	return s.start(w, words, serve)
}

// start has serve run until the service ends. For at see [service].
func (s *Services) start(w wanted, at string, serve func(context.Context) error) *service {
	ctx, stop := context.WithCancel(context.Background())
	one := &service{want: w, at: at, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(one.done)
		defer stop()
		if err := serve(ctx); err != nil {
			select {
			case s.failed <- err:
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

// Close ends all services.
func (s *Services) Close() {
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

func (*Services) String() string { return "serve" }

// Run waits until ctx ends, or until a service cannot go on and the error says why.
func (s *Services) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// hasAddress reports whether a is one of the node's own addresses.
func (s *Services) hasAddress(a netip.Addr) bool {
	return slices.ContainsFunc(s.of.Config().Interface.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
}
