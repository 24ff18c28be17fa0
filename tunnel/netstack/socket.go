package netstack

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"
)

// socket is what the connections, listeners and sockets of a stack have in common.
// Its methods are safe for concurrent use.
type socket struct {
	ep      tcpip.Endpoint
	wq      *waiter.Queue
	network string // "tcp" or "udp"
	in, out direction
	closed  atomic.Bool
	// remote is the far end of a connection, which the stack forgets with it. It
	// does not change once somebody has the socket.
	remote tcpip.FullAddress
}

// direction is what waits for one direction of a socket.
type direction struct {
	turn  sync.Mutex    // one waits at a time
	ready chan struct{} // of capacity 1: it may be tried again
	entry waiter.Entry

	mu      sync.Mutex
	on      bool          // guarded by mu: the entry is in the queue
	timer   *time.Timer   // guarded by mu
	expired chan struct{} // guarded by mu: closed by the timer; nil: there is no deadline
}

func newSocket(ep tcpip.Endpoint, wq *waiter.Queue, network string) *socket {
	s := &socket{ep: ep, wq: wq, network: network}
	for _, d := range []struct {
		d    *direction
		mask waiter.EventMask
	}{{&s.in, waiter.ReadableEvents}, {&s.out, waiter.WritableEvents}} {
		d.d.ready = make(chan struct{}, 1)
		d.d.entry.Init(waiter.ChannelNotifier(d.d.ready), d.mask|waiter.EventErr|waiter.EventHUp)
	}
	return s
}

// open makes a socket of a transport protocol. Without an address it is for both
// families, if it is not told to be for one.
func open(s *stack.Stack, protocol tcpip.TransportProtocolNumber, network string, six bool) (*socket, tcpip.Error) {
	wq := new(waiter.Queue)
	family := header.IPv4ProtocolNumber
	if six {
		family = header.IPv6ProtocolNumber
	}
	ep, err := s.NewEndpoint(protocol, family, wq)
	if err != nil {
		return nil, err
	}
	return newSocket(ep, wq, network), nil
}

// await calls try until it says something else than that it would block, or the
// deadline has passed, or the socket is closed.
func (s *socket) await(d *direction, try func() tcpip.Error) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	for {
		expired := d.deadline()
		select {
		case <-expired:
			return errTimeout
		default:
		}
		if s.closed.Load() {
			return net.ErrClosed
		}
		err := try()
		if _, wait := err.(*tcpip.ErrWouldBlock); !wait {
			if err != nil && s.closed.Load() {
				return net.ErrClosed
			}
			return told(err)
		}
		if d.register(s.wq) {
			continue // it may have become ready before
		}
		select {
		case <-d.ready:
		case <-expired:
		}
	}
}

// register has ready told of events from now on, and reports whether it was not
// before.
func (d *direction) register(wq *waiter.Queue) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on {
		return false
	}
	d.on = true
	wq.EventRegister(&d.entry)
	return true
}

func (d *direction) deadline() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

// set makes t the deadline, zero for none. It holds also for who waits already.
func (d *direction) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop() // if it is too late its channel is nobody's any more
		d.timer = nil
	}
	d.expired = nil
	if !t.IsZero() {
		expired := make(chan struct{})
		d.expired = expired
		if left := time.Until(t); left > 0 {
			d.timer = time.AfterFunc(left, func() { close(expired) })
		} else {
			close(expired)
		}
	}
	d.wake()
}

func (d *direction) wake() {
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// SetReadDeadline is that of [net.Conn].
func (s *socket) SetReadDeadline(t time.Time) error {
	if s.closed.Load() {
		return s.failed("set", nil, net.ErrClosed)
	}
	s.in.set(t)
	return nil
}

// SetWriteDeadline is that of [net.Conn].
func (s *socket) SetWriteDeadline(t time.Time) error {
	if s.closed.Load() {
		return s.failed("set", nil, net.ErrClosed)
	}
	s.out.set(t)
	return nil
}

// SetDeadline is that of [net.Conn].
func (s *socket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// Close ends it, and what waits for it.
func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return s.failed("close", nil, net.ErrClosed)
	}
	s.ep.Close()
	for _, d := range []*direction{&s.in, &s.out} {
		d.set(time.Time{}) // which stops the timer, and wakes who waits
	}
	return nil
}

// localPort is the port of this side, or the identifier of its echoes; 0 if there is none.
func (s *socket) localPort() uint16 {
	a, err := s.ep.GetLocalAddress()
	if err != nil {
		return 0
	}
	return a.Port
}

// LocalAddr is that of [net.Conn].
func (s *socket) LocalAddr() net.Addr {
	a, err := s.ep.GetLocalAddress()
	if err != nil {
		return nil
	}
	return s.addr(a)
}

// RemoteAddr is that of [net.Conn].
func (s *socket) RemoteAddr() net.Addr {
	if s.remote.Addr.Len() == 0 {
		return nil
	}
	return s.addr(s.remote)
}

func (s *socket) addr(a tcpip.FullAddress) net.Addr {
	if s.network == "tcp" {
		return &net.TCPAddr{IP: a.Addr.AsSlice(), Port: int(a.Port)}
	}
	return &net.UDPAddr{IP: a.Addr.AsSlice(), Port: int(a.Port)}
}

// full is an address as the stack takes it.
func full(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(a.Addr().Unmap().AsSlice()), Port: a.Port()}
}

// told gives what the stack says the number that the system has for it, so that
// errors.Is finds it: syscall.ECONNREFUSED and the like.
func told(err tcpip.Error) error {
	switch err.(type) {
	case nil:
		return nil
	case *tcpip.ErrClosedForReceive:
		return io.EOF
	case *tcpip.ErrConnectionRefused:
		return syscall.ECONNREFUSED
	case *tcpip.ErrConnectionReset:
		return syscall.ECONNRESET
	case *tcpip.ErrConnectionAborted, *tcpip.ErrAborted:
		return syscall.ECONNABORTED
	case *tcpip.ErrHostUnreachable, *tcpip.ErrHostDown:
		return syscall.EHOSTUNREACH
	case *tcpip.ErrNetworkUnreachable, *tcpip.ErrNoNet:
		return syscall.ENETUNREACH
	case *tcpip.ErrTimeout:
		return syscall.ETIMEDOUT
	case *tcpip.ErrPortInUse, *tcpip.ErrDuplicateAddress:
		return syscall.EADDRINUSE
	case *tcpip.ErrBadLocalAddress, *tcpip.ErrNoPortAvailable:
		return syscall.EADDRNOTAVAIL
	case *tcpip.ErrClosedForSend:
		return syscall.EPIPE
	case *tcpip.ErrNotConnected, *tcpip.ErrInvalidEndpointState:
		return syscall.ENOTCONN
	case *tcpip.ErrMessageTooLong:
		return syscall.EMSGSIZE
	case *tcpip.ErrNoBufferSpace:
		return syscall.ENOBUFS
	case *tcpip.ErrAddressFamilyNotSupported:
		return syscall.EAFNOSUPPORT
	}
	return errors.New(err.String())
}

// failed words the failure of an operation as package net does.
func (s *socket) failed(op string, to net.Addr, err error) error {
	if err == nil {
		return nil
	}
	if to == nil {
		to = s.RemoteAddr()
	}
	return &net.OpError{Op: op, Net: s.network, Source: s.LocalAddr(), Addr: to, Err: err}
}

// errTimeout is what net.Conn and net.PacketConn say after a deadline.
var errTimeout = os.ErrDeadlineExceeded
