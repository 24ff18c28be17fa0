package forward

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is a network that tells of the sockets that it dials and that are closed.
type told struct {
	proxy.Host
	dialed, closed chan string
}

func (n told) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := n.Host.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	n.dialed <- c.LocalAddr().String()
	return toldConn{c, n.closed}, nil
}

type toldConn struct {
	net.Conn
	closed chan string
}

// Close tells the first time.
func (c toldConn) Close() error {
	err := c.Conn.Close()
	if err == nil {
		c.closed <- c.LocalAddr().String()
	}
	return err
}

// echoes returns the address of a server that sends all back.
func echoes(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c.LocalAddr().String()
}

func startUDP(t *testing.T, o proxy.Options) (addr string, to told) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to = told{dialed: make(chan string, 10), closed: make(chan string, 10)}
	target := echoes(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- UDP(ctx, c, target, to, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c.LocalAddr().String(), to
}

// ask sends a packet and wants it back.
func ask(t *testing.T, to, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(patience.Deadline()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != text {
		t.Fatalf("%q came back, %v", buf[:n], err)
	}
	return c
}

// A session ends when nothing passes, and its sender gets another.
func TestUDPIdle(t *testing.T) {
	addr, to := startUDP(t, proxy.Options{IdleTime: 20 * time.Millisecond})
	ask(t, addr, "one")
	if first, gone := <-to.dialed, <-to.closed; first != gone {
		t.Errorf("%s was dialed, %s closed", first, gone)
	}
	ask(t, addr, "two")
	<-to.dialed
}

// The session that was silent for longest makes room for another.
func TestUDPEvict(t *testing.T) {
	addr, to := startUDP(t, proxy.Options{MaxConns: 2})
	ask(t, addr, "one")
	first := <-to.dialed
	ask(t, addr, "two")
	ask(t, addr, "three")
	if gone := <-to.closed; gone != first {
		t.Errorf("%s was closed, want %s", gone, first)
	}
}
