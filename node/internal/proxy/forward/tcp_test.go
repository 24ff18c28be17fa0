package forward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

// forgetful is a listener of connections that do not know whose they are any more,
// as those of a stack that a peer has reset.
type forgetful struct{ net.Listener }

func (l forgetful) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return unknown{c}, err
}

type unknown struct{ net.Conn }

func (unknown) RemoteAddr() net.Addr { return nil }

// A client that is gone is no reason to fail, whenever it goes.
func TestTCPClientGone(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close() // where nobody listens
	for _, target := range []string{far.Addr().String(), closed.Addr().String()} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		opt := proxy.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		go func() { served <- TCP(ctx, forgetful{l}, target, proxy.Host{}, opt) }()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if target == far.Addr().String() {
			there, err := far.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.(*net.TCPConn).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			_ = c.Close() // a reset
			if err := there.SetReadDeadline(patience.Deadline()); err != nil {
				t.Fatal(err)
			}
			if _, err := there.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				t.Errorf("the other end reads %v", err)
			}
			_ = there.Close() // it was reset
		}
		_, _ = io.ReadAll(c) // refused, or closed here
		_ = c.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}
