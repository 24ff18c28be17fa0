package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/key"
)

const (
	// patience is how long Start waits for the names of endpoints.
	patience = 5 * time.Second
	// firstRetry grows by 6/5 up to lastRetry, as wg's own does; but wg gives
	// up in the end.
	firstRetry = time.Second
	lastRetry  = 20 * time.Second
)

// endpoints are the endpoints that the configuration gives, some of them as
// names that are yet to be resolved.
type endpoints struct {
	lookup func(ctx context.Context, host string) (netip.Addr, error)

	mu    sync.Mutex
	byKey map[key.Public]*endpoint
	order []*endpoint
}

type endpoint struct {
	key       key.Public
	peer      string // for people
	written   string
	keepalive bool
	addr      netip.AddrPort // zero until it is resolved
	err       error          // of the latest attempt
}

func newEndpoints(cfg *config.Config) *endpoints {
	es := &endpoints{lookup: lookup, byKey: make(map[key.Public]*endpoint)}
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		if p.Endpoint == "" {
			continue
		}
		e := es.byKey[p.PublicKey]
		if e == nil {
			e = &endpoint{key: p.PublicKey}
			es.byKey[p.PublicKey] = e
			es.order = append(es.order, e)
		}
		e.peer, e.written, e.keepalive = p.String(), p.Endpoint, p.PersistentKeepalive > 0
	}
	return es
}

// lookup resolves a name as wg does: it takes the first address, in the order
// of preference of RFC 6724.
func lookup(ctx context.Context, host string) (netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(addrs) == 0 {
		return netip.Addr{}, &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return addrs[0].Unmap(), nil
}

// resolve tries all endpoints once, at most for patience, and tells of those
// that do not resolve.
func (es *endpoints) resolve(ctx context.Context, say func(string, ...any)) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	es.attempt(within)
	if ctx.Err() != nil {
		return // the node does not start
	}
	for _, e := range es.unresolved() {
		say("[!] the endpoint of %s is not known yet, it is tried again and again: %v", e.peer, e.err)
	}
}

// attempt tries the endpoints that are not resolved, all at once, and returns
// those that now are.
func (es *endpoints) attempt(ctx context.Context) []*endpoint {
	pending := es.unresolved()
	results := make([]netip.AddrPort, len(pending))
	errs := make([]error, len(pending))
	var lookups sync.WaitGroup
	for i, e := range pending {
		lookups.Go(func() { results[i], errs[i] = es.resolveOne(ctx, e.written) })
	}
	lookups.Wait()
	es.mu.Lock()
	defer es.mu.Unlock()
	var now []*endpoint
	for i, e := range pending {
		if e.addr, e.err = results[i], errs[i]; e.err == nil {
			now = append(now, e)
		}
	}
	return now
}

func (es *endpoints) resolveOne(ctx context.Context, written string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(written)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port of endpoint %s: %w", written, err)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if addr, err = es.lookup(ctx, host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(addr, uint16(number)), nil
}

func (es *endpoints) unresolved() []*endpoint {
	es.mu.Lock()
	defer es.mu.Unlock()
	var pending []*endpoint
	for _, e := range es.order {
		if !e.addr.IsValid() {
			pending = append(pending, e)
		}
	}
	return pending
}

// addrs returns the addresses that are known.
func (es *endpoints) addrs() []netip.Addr {
	es.mu.Lock()
	defer es.mu.Unlock()
	var addrs []netip.Addr
	for _, e := range es.order {
		if e.addr.IsValid() {
			addrs = append(addrs, e.addr.Addr())
		}
	}
	return addrs
}

// of returns the address of a peer's endpoint, zero if it is not known.
func (es *endpoints) of(k key.Public) netip.AddrPort {
	es.mu.Lock()
	defer es.mu.Unlock()
	if e := es.byKey[k]; e != nil {
		return e.addr
	}
	return netip.AddrPort{}
}

// Endpoint returns a peer's endpoint as the configuration has it, "" if it has
// none, and why its name does not resolve, nil if it does. Such a name is tried
// again for as long as the node runs.
func (n *Node) Endpoint(k key.Public) (written string, err error) {
	n.endpoints.mu.Lock()
	defer n.endpoints.mu.Unlock()
	e := n.endpoints.byKey[k]
	if e == nil {
		return "", nil
	}
	return e.written, e.err
}

// resolveTask looks for the endpoints that were not found at the start. Even
// that there is no such name is not final: many a name appears later.
type resolveTask struct{ n *Node }

func (resolveTask) String() string { return "resolve endpoints" }

func (r resolveTask) Run(ctx context.Context) error {
	es, delay := r.n.endpoints, firstRetry
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for len(es.unresolved()) > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		for _, e := range es.attempt(ctx) {
			r.apply(e)
		}
		delay = min(delay*6/5, lastRetry)
		timer.Reset(delay)
	}
	<-ctx.Done()
	return nil
}

// apply gives a peer its endpoint, unless it has got one meanwhile: it has
// called, or somebody has set it.
func (r resolveTask) apply(e *endpoint) {
	log := r.n.opt.Logger.With("interface", r.n.name, "peer", e.peer, "endpoint", e.written, "address", e.addr)
	if known := endpointOf(r.n.tun, e.key); known.IsValid() {
		log.Info("endpoint resolved, but another is in use", "in_use", known)
		return
	}
	if err := r.n.tun.SetEndpoint(e.key, e.addr); err != nil {
		log.Error("endpoint resolved, but not set", "error", err)
		return
	}
	log.Info("endpoint resolved")
	if e.keepalive {
		// The device tries again only when it has something to send.
		if err := r.n.tun.InitiateHandshake(e.key); err != nil {
			log.Error("no handshake with the resolved endpoint", "error", err)
		}
	}
}

func endpointOf(t *tunnel.Tunnel, k key.Public) netip.AddrPort {
	for _, p := range t.Peers() {
		if p.Key == k {
			return p.Endpoint
		}
	}
	return netip.AddrPort{}
}
