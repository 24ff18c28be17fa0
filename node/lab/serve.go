//go:build linux

package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/wgnode/wgnode/probe/patience"
)

// Listen is [net.Listen] in the host: the socket is the host's, while Accept
// may be called from anywhere. It is closed when the lab is torn down.
func (h *Host) Listen(network, addr string) net.Listener {
	h.t.Helper()
	var l net.Listener
	h.do("listen", func() (err error) {
		l, err = net.Listen(network, addr)
		return err
	})
	h.lab.onClose(l)
	return l
}

// ListenPacket is [net.ListenPacket] in the host. The socket is closed when the
// lab is torn down.
func (h *Host) ListenPacket(network, addr string) net.PacketConn {
	h.t.Helper()
	var c net.PacketConn
	h.do("listen", func() (err error) {
		c, err = net.ListenPacket(network, addr)
		return err
	})
	h.lab.onClose(c)
	return c
}

// Dial is [net.Dialer.DialContext] in the host. The address must be literal:
// names are looked up outside of the host. Closing is up to the caller.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var c net.Conn
	err := h.Do(func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// ServeHTTP answers every HTTP request to addr ("192.168.200.22:80") with body
// until the lab is torn down, and returns the server's URL. Requests are
// answered as soon as it returns.
func (h *Host) ServeHTTP(addr, body string) (url string) {
	h.t.Helper()
	l := h.Listen("tcp", addr)
	server := &http.Server{
		ReadHeaderTimeout: patience.Limit(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			// The client may be gone; that is for the client to notice.
			_, _ = io.WriteString(w, body)
		}),
	}
	h.lab.onClose(server)
	go func() { _ = server.Serve(l) }() // ends with ErrServerClosed
	return "http://" + l.Addr().String()
}

// ServeEcho sends every UDP packet that comes to addr back to its sender until
// the lab is torn down.
func (h *Host) ServeEcho(addr string) {
	h.t.Helper()
	c := h.ListenPacket("udp", addr)
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			// Lost packets are a fact of UDP.
			_, _ = c.WriteTo(buf[:n], from)
		}
	}()
}

// AwaitSocket waits until a server accepts connections at a Unix socket of the
// host, or until ctx is done.
func (h *Host) AwaitSocket(ctx context.Context, path string) error {
	err := h.Do(func() error {
		// A socket's name appears when it is bound, which is a moment before it
		// listens. There is no event for the latter, so look again and again.
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			c, err := net.Dial("unix", path)
			if err == nil {
				return c.Close()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", ctx.Err(), err)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("wait for socket %s on host %s: %w", path, h.name, err)
	}
	return nil
}
