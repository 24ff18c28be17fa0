package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/node/internal/socket"
)

// MaxPayload is the largest payload of a datagram that is sent, in bytes: what fits into the
// smallest MTU of IPv6 (1280) with its headers.
const MaxPayload = 1232

// Exchanger is a [Prober] that sends UDP, too.
type Exchanger interface {
	// Exchange sends a datagram, once a second, until one comes back or the port is
	// refused.
	Exchange(ctx context.Context, to netip.AddrPort, payload []byte, ready Ready) error
}

// errNoProber is for a node that cannot send.
var errNoProber = errors.New("explain: this node cannot send a probe")

// canProbe says why a request cannot be met.
func (s *Subject) canProbe(req *Request) error {
	_, exchanges := s.Prober.(Exchanger)
	switch {
	case req.UDP && req.Target.Port() == 0:
		return errors.New("explain: UDP needs a port")
	case len(req.Payload) > MaxPayload:
		return fmt.Errorf("explain: a payload of %d bytes is too large: %d at most", len(req.Payload), MaxPayload)
	case req.As != 0 && (req.Passive || s.As == nil):
		return errors.New("explain: to probe as another process needs a probe, and a node with an interface on this host")
	case req.Passive:
		return nil
	case s.Prober == nil:
		return errNoProber
	case req.UDP && !exchanges:
		return errors.New("explain: this node cannot send UDP probes")
	}
	return nil
}

// payloads are questions that a server on a port answers, whatever it knows.
var payloads = map[uint16][]byte{
	// DNS (RFC 1035): who serves the root? Recursion is desired.
	53: {0x77, 0x67, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1},
	// NTP (RFC 5905): version 4, of a client.
	123: append([]byte{4<<3 | 3}, make([]byte, 47)...),
}

// payload is what the datagrams have in them.
func (r *Request) payload() []byte {
	if len(r.Payload) > 0 {
		return r.Payload
	}
	if p, ok := payloads[r.Target.Port()]; ok {
		return p
	}
	return []byte("wgnode explain\n")
}

// Exchange implements [Exchanger].
func (Host) Exchange(ctx context.Context, to netip.AddrPort, payload []byte, ready Ready) error {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		_, err := socket.ChoosePort(c, to.Addr().Is4())
		return err
	}}
	network := "udp6"
	if to.Addr().Is4() {
		network = "udp4"
	}
	c, err := d.DialContext(ctx, network, to.String())
	if err != nil {
		return fmt.Errorf("open socket for UDP to %s: %w", to, err)
	}
	return exchange(ctx, c, payload, ready)
}

// Exchange implements [Exchanger].
func (s Stack) Exchange(ctx context.Context, to netip.AddrPort, payload []byte, ready Ready) error {
	c, err := s.Net.DialContext(ctx, "udp", to.String())
	if err != nil {
		return fmt.Errorf("open socket for UDP to %s: %w", to, err)
	}
	return exchange(ctx, c, payload, ready)
}

// exchange does it over a connected socket, and closes that.
func exchange(ctx context.Context, c net.Conn, payload []byte, ready Ready) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) }) // wakes the reader
	defer stop()
	ready(portOf(c.LocalAddr()))
	buf := make([]byte, 1)
	for ctx.Err() == nil {
		if _, err := c.Write(payload); err != nil {
			return fmt.Errorf("send UDP to %s: %w", c.RemoteAddr(), err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return fmt.Errorf("await UDP of %s: %w", c.RemoteAddr(), err)
		}
		switch _, err := c.Read(buf); {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("await UDP of %s: %w", c.RemoteAddr(), err)
		}
	}
	return ctx.Err()
}

// portOf is the port of an end of UDP, 0 if it has none.
func portOf(a net.Addr) uint16 {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Port()
	}
	return 0
}
