package forward

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

const (
	maxPacket = 65535
	// backlog is how many packets of a sender wait while its session begins.
	backlog = 8
	// maxSessions is how many there are at a time unless another number is given:
	// each has a buffer for the largest packet.
	maxSessions = 1024
)

// UDP passes on what c receives to target, HOST:PORT, through to, and what comes
// back to whom it is for. It closes c in the end, and returns nil when ctx has
// ended and all that it began.
func UDP(ctx context.Context, c net.PacketConn, target string, to proxy.Network, o proxy.Options) error {
	o.MaxConns = cmp.Or(o.MaxConns, maxSessions)
	f := forwarder{near: c, target: target, to: to, opt: o.WithDefaults(), sessions: make(map[string]*session)}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // reading tells
	defer stop()
	buf := make([]byte, maxPacket)
	for {
		n, from, err := c.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if proxy.Told(err) {
				continue
			}
			return fmt.Errorf("receive at %s: %w", c.LocalAddr(), errors.Join(err, c.Close()))
		}
		s, fresh := f.session(ctx, from)
		if fresh {
			wg.Go(func() { f.run(s) })
		}
		select {
		case s.out <- bytes.Clone(buf[:n]):
		default: // as any queue that is full
		}
	}
}

type forwarder struct {
	near   net.PacketConn
	target string
	to     proxy.Network
	opt    proxy.Options

	mu       sync.Mutex
	sessions map[string]*session // guarded by mu; by the sender's address
}

// session is one sender's.
type session struct {
	from net.Addr
	out  chan []byte
	used atomic.Int64 // when something passed last, in Unix nanoseconds
	ctx  context.Context
	end  context.CancelFunc
}

// session returns the sender's, which may be a fresh one, to be run.
func (f *forwarder) session(ctx context.Context, from net.Addr) (s *session, fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := from.String()
	if s, ok := f.sessions[key]; ok {
		s.used.Store(time.Now().UnixNano())
		return s, false
	}
	if len(f.sessions) >= f.opt.MaxConns {
		f.evict()
	}
	s = &session{from: from, out: make(chan []byte, backlog)}
	s.used.Store(time.Now().UnixNano())
	s.ctx, s.end = context.WithCancel(ctx)
	f.sessions[key] = s
	return s, true
}

// evict ends the session that has been silent for longest. f.mu is held.
func (f *forwarder) evict() {
	var oldest *session
	for _, s := range f.sessions {
		if oldest == nil || s.used.Load() < oldest.used.Load() {
			oldest = s
		}
	}
	oldest.end()
	delete(f.sessions, oldest.from.String())
}

// run is one session, from its first packet until nothing has passed for a while.
func (f *forwarder) run(s *session) {
	defer func() {
		s.end()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.sessions[s.from.String()] == s {
			delete(f.sessions, s.from.String())
		}
	}()
	dctx, cancel := context.WithTimeout(s.ctx, f.opt.DialTime)
	far, err := f.to.DialContext(dctx, "udp", f.target)
	cancel()
	if err != nil {
		if s.ctx.Err() == nil {
			f.opt.Logger.Info("forward", "client", s.from.String(), "to", f.target, "error", err)
		}
		return
	}
	stop := context.AfterFunc(s.ctx, func() { _ = far.Close() }) // packets may get lost
	defer stop()
	defer far.Close() // for the end by silence
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.end()
	wg.Go(func() {
		for {
			select {
			case b := <-s.out:
				if _, err := far.Write(b); err != nil && !proxy.Told(err) {
					f.opt.Logger.Debug("forward: packet not sent", "to", f.target, "error", err)
				}
			case <-s.ctx.Done():
				return
			}
		}
	})
	f.back(s, far)
}

// back passes on replies until nothing has passed for a while.
func (f *forwarder) back(s *session, far net.Conn) {
	buf := packets.Get().(*[maxPacket]byte)
	defer packets.Put(buf)
	for {
		idle := time.Unix(0, s.used.Load()).Add(f.opt.IdleTime)
		if err := far.SetReadDeadline(idle); err != nil {
			return // closed
		}
		n, err := far.Read(buf[:])
		switch {
		case err == nil:
			s.used.Store(time.Now().UnixNano())
			if _, err := f.near.WriteTo(buf[:n], s.from); err != nil {
				f.opt.Logger.Debug("forward: packet not delivered", "client", s.from.String(), "error", err)
			}
		case isTimeout(err):
			if time.Since(time.Unix(0, s.used.Load())) >= f.opt.IdleTime {
				return
			}
		case !proxy.Told(err):
			return // closed, or told so by a stack that has no numbers for it
		}
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

var packets = sync.Pool{New: func() any { return new([maxPacket]byte) }}
