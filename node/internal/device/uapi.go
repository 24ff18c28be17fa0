package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/wgnode/wgnode/tunnel"
)

// UAPI answers wg(8) and its like, from before Run on: hooks that run
// while the interface comes up may want to.
type UAPI struct {
	net.Listener
	ended chan error // gets one value, when it does not answer any more
}

// ServeUAPI answers at l from now on.
func ServeUAPI(t *tunnel.Tunnel, l net.Listener) *UAPI {
	s := &UAPI{l, make(chan error, 1)}
	go func() { s.ended <- t.ServeUAPI(l) }()
	return s
}

func (*UAPI) String() string { return "serve UAPI" }

// Run is the node's part in it. As with wireguard-go,
// removing the socket ends the node: wg-quick takes an interface down so.
func (s *UAPI) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		closeErr := s.Close()
		<-s.ended // it ends because of that
		return closeErr
	case err := <-s.ended:
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
}

// Close ends it. Where the socket's file went first, wireguard-go's listener has ended itself, and
// says of a part of it that it is closed already; the rest it closes nevertheless.
func (s *UAPI) Close() error {
	if err := s.Listener.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// closeOnce is for a listener that must not be closed twice: wireguard-go's
// would close a descriptor that by then may be something else.
type closeOnce struct {
	net.Listener
	once sync.Once
	err  error
}

func (c *closeOnce) Close() error {
	c.once.Do(func() { c.err = c.Listener.Close() })
	return c.err
}
