package ping

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Stack sends through a userspace network stack.
type Stack struct{ Net *netstack.Net }

// Echoes implements [Prober].
func (s Stack) Echoes(to netip.Addr, whole bool) (Echoes, error) {
	e, err := s.Net.Echoes(to, whole)
	if err != nil {
		return nil, err
	}
	return stackEchoes{e, to, make([]byte, 1<<16)}, nil
}

type stackEchoes struct {
	*netstack.EchoSocket
	to  netip.Addr
	buf []byte
}

func (e stackEchoes) Receive() (Answer, error) {
	seq, data, err := e.EchoSocket.Receive(e.buf)
	return Answer{Seq: seq, Data: data, From: e.to}, err
}

// Datagrams implements [Prober].
func (s Stack) Datagrams(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return s.Net.DialContext(ctx, "udp", to.String())
}

// firstAgain is when the stack sends a first segment again (RFC 6298, section 2.1). It does not
// say whether it has.
const firstAgain = time.Second

// Connect implements [Prober].
func (s Stack) Connect(ctx context.Context, to netip.AddrPort, ready func(port uint16)) (repeated bool, err error) {
	began := time.Now()
	c, err := s.Net.Connect(ctx, to, func(port uint16) {
		ready(port)
		began = time.Now()
	})
	repeated = time.Since(began) >= firstAgain
	if err != nil {
		return repeated, fmt.Errorf("connect to %s: %w", to, err)
	}
	if err := c.Close(); err != nil {
		return repeated, fmt.Errorf("close connection to %s: %w", to, err)
	}
	return repeated, nil
}
