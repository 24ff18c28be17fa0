package httpproxy

import (
	"net"
	"sync"
)

// limited is a listener that has so many connections at most. Further ones wait
// to be accepted.
type limited struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
	open   sync.WaitGroup
}

func newLimited(l net.Listener, max int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, max), closed: make(chan struct{})}
}

// Accept waits for a connection, and for room for it.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	l.open.Add(1)
	return &limitedConn{Conn: c, done: sync.OnceFunc(func() { <-l.slots; l.open.Done() })}, nil
}

// Close closes the listener, not its connections.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// wait waits until all connections are closed.
func (l *limited) wait() { l.open.Wait() }

type limitedConn struct {
	net.Conn
	done func()
}

func (c *limitedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// CloseWrite ends the direction to the client.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SetLinger is that of net.TCPConn, for resets.
func (c *limitedConn) SetLinger(sec int) error {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(sec)
	}
	return nil
}
