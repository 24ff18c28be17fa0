package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/tunnel/netchange"
)

// batchSize is how many packets one call sends or receives at most.
const batchSize = conn.IdealBatchSize

// Bind is a pair of UDP sockets on one port. It implements conn.Bind. All its
// methods may be called at any time from any goroutine.
type Bind struct {
	opts       Options
	gen        generation
	queueDrops atomic.Uint64
	apart      atomic.Int32 // how many want no packets joined

	mu     sync.Mutex           // serialises Open, Close and SetMark
	open   atomic.Pointer[pair] // nil while closed
	routes *netchange.Watcher
}

// pair is the sockets of an open Bind. One of them may be nil, if the host
// lacks that family.
type pair struct{ v4, v6 *socket }

func (p *pair) sockets() []*socket {
	var all []*socket
	for _, s := range []*socket{p.v4, p.v6} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (p *pair) close() error {
	var errs []error
	for _, s := range p.sockets() {
		errs = append(errs, s.conn.Close())
	}
	return errors.Join(errs...)
}

// New returns a Bind (a *Bind) that is closed.
func New(o Options) conn.Bind { return &Bind{opts: o} }

// Open opens the sockets, in the network namespace of the calling thread, and
// returns a function to receive from each, and their port. Port 0 means any
// that is free in both families. A family that the host lacks is left out.
//
// The receive functions fill packets and sizes as conn.ReceiveFunc says. They
// return net.ErrClosed once the Bind is closed, and no error that is about a
// packet we sent.
func (b *Bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Load() != nil {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	p, actual, err := openPair(b.opts, port)
	if err != nil {
		return nil, 0, err
	}
	routes, err := netchange.Watch(b.gen.advance)
	if err != nil {
		return nil, 0, errors.Join(err, p.close())
	}
	// What was learned through other sockets may not hold for these.
	b.gen.advance()
	b.routes = routes
	b.open.Store(p)

	// The device finds out the family from the functions' names.
	var fns []conn.ReceiveFunc
	if p.v4 != nil {
		fns = append(fns, newReceiver(p.v4, &b.gen).receiveIPv4)
	}
	if p.v6 != nil {
		fns = append(fns, newReceiver(p.v6, &b.gen).receiveIPv6)
	}
	return fns, actual, nil
}

// openPair opens a socket of each family on the same port.
func openPair(o Options, port uint16) (*pair, uint16, error) {
	// A port that is free for IPv4 may be taken for IPv6. If any will do,
	// try others.
	const tries = 100
	for try := 1; ; try++ {
		v4, err := openSocket(o, false, port)
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, 0, err
		}
		p, actual := &pair{v4: v4}, port
		if v4 != nil {
			actual = v4.port()
		}
		p.v6, err = openSocket(o, true, actual)
		switch {
		case err == nil:
			return p, p.v6.port(), nil
		case errors.Is(err, unix.EAFNOSUPPORT) && v4 != nil:
			return p, actual, nil
		}
		if closeErr := p.close(); closeErr != nil {
			return nil, 0, errors.Join(err, closeErr)
		}
		if port != 0 || !errors.Is(err, unix.EADDRINUSE) || try == tries {
			return nil, 0, err
		}
	}
}

// Close closes the sockets. The Bind may be opened again.
func (b *Bind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.open.Swap(nil)
	if p == nil {
		return nil
	}
	err := errors.Join(b.routes.Close(), p.close())
	b.routes = nil
	return err
}

// SetMark sets the mark that routing rules and firewalls see on our packets
// (SO_MARK, needs CAP_NET_ADMIN). It applies to the open sockets only, so it
// must be set again after the next Open, and does nothing while closed.
func (b *Bind) SetMark(mark uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.open.Load()
	if p == nil {
		return nil
	}
	for _, s := range p.sockets() {
		if err := s.setMark(mark); err != nil {
			return fmt.Errorf("set firewall mark %#x: %w", mark, err)
		}
	}
	b.gen.advance() // other rules may match now
	return nil
}

// BatchSize returns how many packets at most go into a call of Send or of a
// receive function.
func (b *Bind) BatchSize() int { return batchSize }

// QueueDrops returns how many packets the queue of the outgoing interface
// (its qdisc) refused because it was full, since the Bind was made. Send does
// not call that an error: they are lost as if on the way.
func (b *Bind) QueueDrops() uint64 { return b.queueDrops.Load() }

// ParseEndpoint parses "192.0.2.1:51820", "[2001:db8::1]:51820" or, with the
// zone of a link-local address, "[fe80::1%eth0]:51820". The interface need not
// exist yet.
func (b *Bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	dst, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, fmt.Errorf("parse endpoint: %w", err)
	}
	// The IPv6 socket does not take IPv4 addresses in disguise.
	dst = netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port())
	return &Endpoint{dst: dst, gen: &b.gen}, nil
}

// Send sends packets to ep, which must come from this package. It keeps none
// of the slices.
//
// If a packet cannot be sent, Send returns an error that wraps the errno, and
// does not try the packets after it, which would fare alike; except that too
// long a packet (EMSGSIZE) does not keep back the others.
func (b *Bind) Send(packets [][]byte, ep conn.Endpoint) error {
	e, ok := ep.(*Endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	p := b.open.Load()
	if p == nil {
		return net.ErrClosed
	}
	s := p.v4
	if e.dst.Addr().Is6() {
		s = p.v6
	}
	if s == nil {
		return fmt.Errorf("send to %s: %w", e.dst, unix.EAFNOSUPPORT)
	}
	m := senders.Get().(*sender)
	defer m.release()
	m.socket, m.dst, m.apart = s, e, b.apart.Load() > 0
	if err := m.address(); err != nil {
		return fmt.Errorf("send to %s: %w", e.dst, err)
	}
	err := m.send(packets)
	if m.dropped > 0 {
		b.queueDrops.Add(m.dropped)
	}
	return err
}
