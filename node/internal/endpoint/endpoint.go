// Package endpoint keeps the endpoints of peers right whose place is written as
// a name.
//
// A [Set] is what a configuration gives. [Set.Resolve] looks its names up once,
// before the tunnel is there. From then on a [Follower] has them: it tries on
// where there was no answer, and looks a name up again when the peer behind it is
// not heard of any more.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

// patience is how long Resolve waits for the names of endpoints.
const patience = 5 * time.Second

// shortly is how long a name may take whose other addresses are remembered.
const shortly = 2 * time.Second

// LookupFunc returns the addresses of a host, at least one, the preferred one
// first, or an error.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// Set is the endpoints that a configuration gives, some of them as names that
// are yet to be resolved. Its methods are safe for concurrent use.
type Set struct {
	lookup LookupFunc

	mu    sync.Mutex
	byKey map[key.Public]*endpoint
	order []*endpoint
}

type endpoint struct {
	key       key.Public
	peer      string // for people
	written   string
	keepalive bool
	name      bool // it is written as one

	addr netip.AddrPort // guarded by Set.mu: what it was resolved to last; zero until then
	err  error          // guarded by Set.mu: of the latest attempt
	// addrs are all addresses that its name had when that was last known, the preferred one
	// first. Guarded by Set.mu.
	addrs []netip.AddrPort

	course course // the Follower's
}

// New returns the endpoints that a configuration gives. Names are looked up by
// lookup.
func New(cfg *config.Config, lookup LookupFunc) *Set {
	s := &Set{lookup: lookup, byKey: make(map[key.Public]*endpoint)}
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		if p.Endpoint == "" {
			continue
		}
		e := s.byKey[p.PublicKey]
		if e == nil {
			e = &endpoint{key: p.PublicKey}
			s.byKey[p.PublicKey] = e
			s.order = append(s.order, e)
		}
		e.peer, e.written, e.keepalive = p.String(), p.Endpoint, p.PersistentKeepalive > 0
		e.name = isName(p.Endpoint)
	}
	return s
}

// Inherit takes over what the names in s were resolved to in an earlier set, so
// that Resolve asks only for others.
func (s *Set) Inherit(from *Set) {
	from.mu.Lock()
	defer from.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.order {
		if was := from.byKey[e.key]; was != nil && was.written == e.written && was.addr.IsValid() {
			e.addr, e.addrs = was.addr, was.addrs
		}
	}
}

// Resolve tries all endpoints that are not known once, at most for patience, and
// tells of those that do not resolve. Of several addresses it takes the first, as
// wg does; a Follower tries the others where that does not answer.
func (s *Set) Resolve(ctx context.Context, say func(string, ...any)) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unknown := slices.DeleteFunc(slices.Clone(s.order), func(e *endpoint) bool { return s.Of(e.key).IsValid() })
	for e, answer := range s.ask(within, unknown) {
		s.note(e, first(answer.addrs), answer)
	}
	if ctx.Err() != nil {
		return // the node does not start
	}
	for _, e := range s.order {
		if e.err != nil {
			say("[!] cannot resolve endpoint %s of %s yet (%v); retrying in the background", e.written, e.peer, why(e.err))
		}
	}
}

// why is the reason that a name does not resolve, without the name.
func why(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	return err.Error()
}

// answer is what became of one question.
type answer struct {
	addrs []netip.AddrPort // at least one, unless there is an error
	err   error
}

func first(addrs []netip.AddrPort) netip.AddrPort {
	if len(addrs) == 0 {
		return netip.AddrPort{}
	}
	return addrs[0]
}

// ask looks up endpoints, all at once.
func (s *Set) ask(ctx context.Context, whom []*endpoint) map[*endpoint]answer {
	answers := make([]answer, len(whom))
	var lookups sync.WaitGroup
	for i, e := range whom {
		lookups.Go(func() {
			if len(s.Addresses(e.key)) > 1 {
				within, cancel := context.WithTimeout(ctx, shortly)
				defer cancel()
				answers[i].addrs, answers[i].err = s.askOne(within, e.written)
				return
			}
			answers[i].addrs, answers[i].err = s.askOne(ctx, e.written)
		})
	}
	lookups.Wait()
	byEndpoint := make(map[*endpoint]answer, len(whom))
	for i, e := range whom {
		byEndpoint[e] = answers[i]
	}
	return byEndpoint
}

func (s *Set) askOne(ctx context.Context, written string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(written)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port of endpoint %s: %w", written, err)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr, uint16(number))}, nil
	}
	addrs, err := s.lookup(ctx, host)
	var at []netip.AddrPort
	for _, a := range addrs {
		at = append(at, netip.AddrPortFrom(a, uint16(number)))
	}
	return at, err
}

// note keeps what became of a question, and which address is used, if any is known. An
// error leaves the name's addresses as they are.
func (s *Set) note(e *endpoint, addr netip.AddrPort, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if addr.IsValid() {
		e.addr = addr
	}
	if e.err = a.err; a.err == nil {
		e.addrs = a.addrs
	}
}

// isName reports whether the endpoint is written as a name.
func (e *endpoint) isName() bool { return e.name }

func isName(written string) bool {
	host, _, err := net.SplitHostPort(written)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}

// Addrs returns the addresses that are known.
func (s *Set) Addrs() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var addrs []netip.Addr
	for _, e := range s.order {
		if e.addr.IsValid() {
			addrs = append(addrs, e.addr.Addr())
		}
	}
	return addrs
}

// Of returns the address of a peer's endpoint, zero if it is not known.
func (s *Set) Of(k key.Public) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byKey[k]; e != nil {
		return e.addr
	}
	return netip.AddrPort{}
}

// Addresses returns all addresses that the name of a peer's endpoint had when that was
// last known, the preferred one first; none if it is not written as a name.
func (s *Set) Addresses(k key.Public) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byKey[k]; e != nil && e.isName() {
		return slices.Clone(e.addrs)
	}
	return nil
}

// Written returns a peer's endpoint as the configuration has it, "" if it has
// none, and why its name did not resolve when it was last tried, nil if it did.
func (s *Set) Written(k key.Public) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[k]
	if e == nil {
		return "", nil
	}
	return e.written, e.err
}
