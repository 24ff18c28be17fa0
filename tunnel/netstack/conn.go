package netstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// What a connection does to find out that the far end has vanished: what those of
// package net do.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

// backlog is how many connections wait to be accepted, as net.core.somaxconn.
const backlog = 4096

// Conn is a TCP connection of a stack: a [net.Conn] that can be half closed.
type Conn struct{ *socket }

func newConn(s *socket, remote tcpip.FullAddress) *Conn {
	s.remote = remote
	idle, interval := tcpip.KeepaliveIdleOption(keepAliveIdle), tcpip.KeepaliveIntervalOption(keepAliveInterval)
	s.ep.SocketOptions().SetKeepAlive(true)
	s.ep.SocketOptions().SetDelayOption(false) // TCP_NODELAY, as with package net
	for _, o := range []tcpip.SettableSocketOption{&idle, &interval} {
		_ = s.ep.SetSockOpt(o) // known to every TCP endpoint
	}
	_ = s.ep.SetSockOptInt(tcpip.KeepaliveCountOption, keepAliveCount)
	return &Conn{s}
}

// dialTCP connects to an address. It calls begun with the port of this side.
func dialTCP(ctx context.Context, s *stack.Stack, to netip.AddrPort, begun func(port uint16)) (*Conn, error) {
	where := net.TCPAddrFromAddrPort(to)
	sock, terr := open(s, tcp.ProtocolNumber, "tcp", to.Addr().Is6())
	if terr != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: where, Err: told(terr)}
	}
	if err := sock.connect(ctx, to, begun); err != nil {
		_ = sock.Close() // there is nothing to be lost
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: where, Err: err}
	}
	return newConn(sock, full(to)), nil
}

// connect returns when the connection is there.
func (s *socket) connect(ctx context.Context, to netip.AddrPort, begun func(port uint16)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.out.register(s.wq)
	err := s.ep.Connect(full(to))
	if _, started := err.(*tcpip.ErrConnectStarted); !started {
		return told(err)
	}
	begun(s.localPort())
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.out.ready:
		}
		switch err := s.ep.LastError(); err.(type) {
		case nil:
		case *tcpip.ErrConnectionReset: // there is nothing yet to be reset
			return syscall.ECONNREFUSED
		default:
			return told(err)
		}
		switch tcp.EndpointState(s.ep.State()) {
		case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
			continue
		}
		return nil
	}
}

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	w := tcpip.SliceWriter(b)
	var got tcpip.ReadResult
	err := c.await(&c.in, func() (err tcpip.Error) {
		got, err = c.ep.Read(&w, tcpip.ReadOptions{})
		return err
	})
	if got.Count > 0 {
		c.ep.ModerateRecvBuf(got.Count)
		return got.Count, nil
	}
	if errors.Is(err, io.EOF) {
		return 0, io.EOF
	}
	return 0, c.failed("read", nil, err)
}

// Write implements [net.Conn].
func (c *Conn) Write(b []byte) (int, error) {
	written := 0
	var r bytes.Reader
	for written < len(b) {
		r.Reset(b[written:])
		err := c.await(&c.out, func() tcpip.Error {
			n, err := c.ep.Write(&r, tcpip.WriteOptions{})
			written += int(n)
			return err
		})
		if err != nil {
			return written, c.failed("write", nil, err)
		}
	}
	return written, nil
}

// CloseWrite ends the direction that is written to: the far end reads io.EOF.
func (c *Conn) CloseWrite() error { return c.shutdown(tcpip.ShutdownWrite) }

// CloseRead ends the direction that is read from.
func (c *Conn) CloseRead() error { return c.shutdown(tcpip.ShutdownRead) }

func (c *Conn) shutdown(how tcpip.ShutdownFlags) error {
	if c.closed.Load() {
		return c.failed("close", nil, net.ErrClosed)
	}
	return c.failed("close", nil, told(c.ep.Shutdown(how)))
}

// SetLinger is that of [net.TCPConn]: with 0 Close discards what was not sent and
// resets the connection.
func (c *Conn) SetLinger(sec int) error {
	if c.closed.Load() {
		return c.failed("set", nil, net.ErrClosed)
	}
	c.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: sec >= 0, Timeout: time.Duration(max(sec, 0)) * time.Second})
	return nil
}

// listener is a [net.Listener].
type listener struct{ *socket }

func listenTCP(s *stack.Stack, network string, at netip.AddrPort) (*listener, error) {
	sock, terr := open(s, tcp.ProtocolNumber, "tcp", sixFor(network, at))
	if terr != nil {
		return nil, told(terr)
	}
	if network == "tcp6" {
		sock.ep.SocketOptions().SetV6Only(true)
	}
	terr = sock.ep.Bind(full(at))
	if terr == nil {
		terr = sock.ep.Listen(backlog)
	}
	if terr != nil {
		_ = sock.Close() // nobody has connected
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(at), Err: told(terr)}
	}
	return &listener{sock}, nil
}

// sixFor reports whether a socket at an address is to be one of IPv6, which takes
// IPv4 as well if the address is any.
func sixFor(network string, at netip.AddrPort) bool {
	if at.Addr().IsValid() {
		return at.Addr().Is6()
	}
	return network[len(network)-1] != '4'
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	var ep tcpip.Endpoint
	var wq *waiter.Queue
	var from tcpip.FullAddress
	err := l.await(&l.in, func() (err tcpip.Error) {
		ep, wq, err = l.ep.Accept(&from)
		return err
	})
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
	}
	return newConn(newSocket(ep, wq, "tcp"), from), nil
}

// Addr implements [net.Listener].
func (l *listener) Addr() net.Addr { return l.LocalAddr() }
