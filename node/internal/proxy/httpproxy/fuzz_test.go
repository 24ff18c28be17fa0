package httpproxy

import (
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

// nowhere is a network in which everything is refused.
type nowhere struct{ t *testing.T }

func (n nowhere) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil || network != "tcp" {
		n.t.Errorf("dials %s %q: %v", network, address, err)
	}
	return nil, syscall.ECONNREFUSED
}

func (nowhere) ListenPacket(string, string) (net.PacketConn, error) { return nil, syscall.EACCES }

func (nowhere) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

// Whatever a client sends, it gets an end, and nothing is dialed that has no port,
// or at all by one who does not know the password.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT [::1]:x HTTP/1.0\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "GET http://:@[::1%25x]:/ HTTP/1.1\r\nHost: b\r\nConnection: x\r\nX: y\r\n\r\n",
		"POST http://a/ HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: b\r\nProxy-Authorization: Basic dTpw\r\n\r\n", "\x05\x01\x00",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, guarded bool) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var known proxy.Credentials
		var to proxy.Network = nowhere{t}
		if guarded {
			known, to = proxy.Credentials{User: "somebody", Password: "who cannot be guessed"}, forbidden{nowhere{t}}
		}
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, l, to, known, proxy.Options{HandshakeTime: time.Second}) }()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(text) // the server may have heard enough
		_ = c.(*net.TCPConn).CloseWrite()
		if _, err := io.ReadAll(c); err != nil && isTimeout(err) {
			t.Errorf("%q has no end", text)
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// forbidden is a network that nobody may get to.
type forbidden struct{ nowhere }

func (f forbidden) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	f.t.Errorf("dials %q for who knows no password", address)
	return nil, syscall.EACCES
}
