package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connected returns the two ends of a TCP connection.
func connected(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{dialed, accepted} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
	}
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// relayed returns the outer ends of two connections that are relayed, and what
// Relay returns.
func relayed(t *testing.T, ctx context.Context) (a, b *net.TCPConn, done chan error) {
	t.Helper()
	a, inA := connected(t)
	b, inB := connected(t)
	done = make(chan error, 1)
	go func() { done <- proxy.Relay(ctx, inA, inB) }()
	return a, b, done
}

// Each direction ends by itself.
func TestRelayHalves(t *testing.T) {
	a, b, done := relayed(t, t.Context())
	if _, err := io.WriteString(a, "question"); err != nil {
		t.Fatal(err)
	}
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(b); string(all) != "question" || err != nil {
		t.Fatalf("%q, %v", all, err)
	}
	if _, err := io.WriteString(b, "answer"); err != nil {
		t.Fatal(err)
	}
	if err := b.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(a); string(all) != "answer" || err != nil {
		t.Fatalf("%q, %v", all, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Relay: %v", err)
	}
}

// A reset is passed on as one, and not as an end that looks good.
func TestRelayReset(t *testing.T) {
	a, b, done := relayed(t, t.Context())
	if _, err := io.WriteString(a, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := a.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other side reads %v", err)
	}
	if err := <-done; err == nil {
		t.Error("Relay says that all went well")
	}
}

func TestRelayEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a, b, done := relayed(t, ctx)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Relay: %v", err)
	}
	for _, c := range []net.Conn{a, b} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection stays")
		}
	}
}

// There are never more connections than allowed; the next one waits.
func TestServeLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began, end := make(chan string), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- proxy.Serve(ctx, l, 1, func(_ context.Context, c net.Conn) {
			began <- c.RemoteAddr().String()
			<-end
		})
	}()
	var conns []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	for _, c := range conns {
		if got := <-began; got != c.LocalAddr().String() {
			t.Errorf("%s is served, want %s", got, c.LocalAddr())
		}
		select {
		case got := <-began:
			t.Errorf("%s is served too", got)
		case end <- struct{}{}:
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestCredentials(t *testing.T) {
	c := proxy.Credentials{User: "alice", Password: "open sesame"}
	for _, test := range []struct {
		user, password string
		want           bool
	}{
		{"alice", "open sesame", true}, {"alice", "open sesam", false}, {"alice", "", false},
		{"", "open sesame", false}, {"alic", "eopen sesame", false}, {"", "", false},
	} {
		if got := c.Match(test.user, test.password); got != test.want {
			t.Errorf("%q, %q: %v", test.user, test.password, got)
		}
	}
	if (proxy.Credentials{}).Required() || !(proxy.Credentials{User: "a"}).Required() {
		t.Error("Required is wrong")
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); shown != "(hidden) (hidden) (hidden) (hidden)" {
		t.Errorf("shows %s", shown)
	}
}
