package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Serve hands each connection that l accepts to handle, in a goroutine of its
// own, at most max at a time; further ones wait. It closes each when handle
// returns or ctx ends, and l in the end. It returns nil, after the last handle
// has, when ctx has ended.
func Serve(ctx context.Context, l net.Listener, max int, handle func(context.Context, net.Conn)) error {
	var handles sync.WaitGroup
	defer handles.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = l.Close() }) // Accept tells
	defer func() { _ = l.Close() }()                 // that may come later
	slots := make(chan struct{}, max)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close() // nothing was said
			}
			return nil
		}
		if err != nil {
			<-slots
			if !passes(err) {
				return fmt.Errorf("accept at %s: %w", l.Addr(), errors.Join(err, l.Close()))
			}
			pause(ctx)
			continue
		}
		handles.Go(func() {
			defer func() { <-slots }()
			defer c.Close() // whoever wants to know has closed it before
			stop := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer stop()
			handle(ctx, c)
		})
	}
}

// Client names who is at the other end of a connection, for people. It is best asked
// at first: a stack that has torn a connection down knows no more whose it was.
func Client(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil {
		return a.String()
	}
	return "gone"
}

// passes reports whether accepting may succeed later: the client has gone, or
// the process or the host has too much open just now.
func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// pause lets some of what is open be closed.
func pause(ctx context.Context) {
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
