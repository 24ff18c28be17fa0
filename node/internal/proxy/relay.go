package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	relayBuffer = 32 << 10 // bytes, for each direction
	// halfTime is how long a connection of which one direction has ended may
	// be silent in the other. It may be the far end that has vanished.
	halfTime = time.Hour
)

// Relay passes on between a and b what comes from the other, until both
// directions have ended, one fails, or ctx ends, and closes both. The end of one
// direction is passed on by itself; if one fails both are reset. It returns what
// failed, nil if nothing did or ctx ended.
func Relay(ctx context.Context, a, b net.Conn) error {
	r := relay{a: a, b: b}
	stop := context.AfterFunc(ctx, r.close)
	defer stop()
	defer r.close()
	var wg sync.WaitGroup
	wg.Go(func() { r.pass(a, b) })
	r.pass(b, a)
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

type relay struct {
	a, b   net.Conn
	half   atomic.Bool // one direction has ended
	failed atomic.Pointer[error]
}

// pass is one direction.
func (r *relay) pass(to, from net.Conn) {
	err := r.copy(to, from)
	if err == nil {
		r.half.Store(true)
		err = closeWrite(to)
		_ = to.SetReadDeadline(time.Now().Add(halfTime)) // fails if it is closed, as its Read does
	}
	if err != nil && r.failed.CompareAndSwap(nil, &err) {
		reset(r.a)
		reset(r.b)
		r.close() // which ends the other direction
	}
}

func (r *relay) copy(to, from net.Conn) error {
	buf := buffers.Get().(*[relayBuffer]byte)
	defer buffers.Put(buf)
	for {
		n, err := from.Read(buf[:])
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			if r.half.Load() {
				_ = from.SetReadDeadline(time.Now().Add(halfTime)) // as above
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *relay) close() {
	// What could not be delivered is no concern of ours any more.
	_ = r.a.Close()
	_ = r.b.Close()
}

var buffers = sync.Pool{New: func() any { return new([relayBuffer]byte) }}

// closeWrite ends the direction of c that we write to.
func closeWrite(c net.Conn) error {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return nil // its end comes with that of the other direction
	}
	err := half.CloseWrite()
	if gone(err) {
		return nil // there is nobody left to be told
	}
	return err
}

// gone reports whether err says that the connection has been torn down.
func gone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ENOTCONN)
}

// reset has c say, when it is closed, that it did not end well. Only sockets of
// the host can.
func reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // fails only if it is closed
	}
}

// Refuse closes a connection as if nobody had listened, as far as one can that
// was accepted.
func Refuse(c net.Conn) {
	reset(c)
	_ = c.Close() // nothing was said
}
