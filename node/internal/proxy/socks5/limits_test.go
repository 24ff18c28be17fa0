package socks5

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

// serve begins to serve and returns the address.
func serve(t *testing.T, c proxy.Credentials, o proxy.Options) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, proxy.Host{}, c, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// client connects, and sends text.
func client(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// Who does not say all that he has to is not waited for, wherever he stops, nor is
// there room for others until then.
func TestSlowClient(t *testing.T) {
	addr := serve(t, proxy.Credentials{User: "u", Password: "p"}, proxy.Options{HandshakeTime: 20 * time.Millisecond, MaxConns: 1})
	for _, text := range []string{"", "\x05", "\x05\xff\x02\x02", "\x05\x01\x02", "\x05\x01\x02\x01\xffuuu",
		"\x05\x01\x02\x01\x01u\x01p", "\x05\x01\x02\x01\x01u\x01p\x05\x01\x00\x03\xffwww"} {
		slow, next := client(t, addr, text), client(t, addr, "\x04")
		if _, err := io.ReadAll(next); err != nil { // its turn has come, and it is told off
			t.Errorf("after %q: %v", text, err)
		}
		_, _ = io.ReadAll(slow) // its end is what counts
	}
}

// There are so many associations, and the next one is told that there is no room.
func TestAssociations(t *testing.T) {
	addr := serve(t, proxy.Credentials{}, proxy.Options{})
	ask := func() (c net.Conn, status byte) {
		t.Helper()
		c = client(t, addr, "\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00")
		b := make([]byte, 2+10)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return c, b[3]
	}
	var first net.Conn
	for i := range maxAssociations {
		c, status := ask()
		if status != byte(succeeded) {
			t.Fatalf("association %d: reply %d", i, status)
		}
		if first == nil {
			first = c
		}
	}
	if _, status := ask(); status != byte(generalFailure) {
		t.Errorf("one too many: reply %d", status)
	}
	_ = first.Close() // which makes room
	patience.Until(t, "room after one has ended", func() bool {
		_, status := ask()
		return status == byte(succeeded)
	})
}
