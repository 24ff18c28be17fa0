package netstack_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// beyond is a Transit that answers in the place of hosts.
type beyond struct {
	t  *testing.T
	mu sync.Mutex
	// asked are the flows that were to pass, guarded by mu.
	asked []netstack.Flow
}

func (b *beyond) transit() *netstack.Transit {
	return &netstack.Transit{
		May: func(f netstack.Flow) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, f)
			return f.To.Port() != 7 && f.To.Addr() != netip.MustParseAddr("192.0.2.7")
		},
		TCP: func(a *netstack.Arrival) {
			if why := errnoFor[a.To.Port()]; why != 0 {
				a.Refuse(why)
				return
			}
			b.echo(a)
		},
		UDP: b.udp,
		Echo: func(e netstack.Echo) {
			if e.To.Addr().As16()[15] == 8 {
				e.Unreachable(syscall.EHOSTUNREACH)
				return
			}
			e.Reply(e.Seq, e.Data)
		},
	}
}

var errnoFor = map[uint16]syscall.Errno{
	1: syscall.ECONNREFUSED, 2: syscall.EHOSTUNREACH, 3: syscall.ENETUNREACH, 4: syscall.EACCES,
}

func (b *beyond) udp(a *netstack.Arrival) {
	if why := errnoFor[a.To.Port()]; why != 0 {
		a.Refuse(why)
		return
	}
	b.echo(a)
}

func (b *beyond) echo(a *netstack.Arrival) {
	c, err := a.Accept()
	if err != nil {
		b.t.Error(err)
		return
	}
	defer c.Close()
	_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // until it is over
}

// Peers reach what is beyond a stack through who takes that, and are told by the
// network's own words what cannot be had.
func TestTransit(t *testing.T) {
	a, b := wire(t, nil)
	far := &beyond{t: t}
	if err := b.Forward(far.transit()); err != nil {
		t.Fatal(err)
	}
	l, err := b.Listen("tcp", ":80") // must not take what is for others
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx := patience.Context(t)
	for _, host := range []string{"192.0.2.9", "2001:db8::9"} {
		six := host != "192.0.2.9"
		for _, network := range []string{"tcp", "udp"} {
			c, err := a.DialContext(ctx, network, net.JoinHostPort(host, "80"))
			if err != nil {
				t.Fatal(err)
			}
			text := make([]byte, 4000) // also more than a packet of UDP holds
			if _, err := c.Write(text); err != nil {
				t.Fatal(err)
			}
			if err := c.SetReadDeadline(patience.Deadline()); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, text); err != nil {
				t.Errorf("%s %s: %v", network, host, err)
			}
			_ = c.Close()
		}
		for port, want := range map[string]syscall.Errno{"1": syscall.ECONNREFUSED, "2": syscall.EHOSTUNREACH,
			"3": syscall.ENETUNREACH, "4": syscall.EHOSTUNREACH, "7": syscall.EHOSTUNREACH} {
			if six && want == syscall.EHOSTUNREACH {
				want = syscall.ENETUNREACH // gVisor's word for all
			}
			if _, err := a.DialContext(ctx, "tcp", net.JoinHostPort(host, port)); !errors.Is(err, want) {
				t.Errorf("%s port %s: %v, want %v", host, port, err, want)
			}
		}
		c, err := a.DialContext(ctx, "udp", net.JoinHostPort(host, "1"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("UDP to %s: %v", host, err)
		}
		_ = c.Close()
		if err := a.Ping(ctx, netip.MustParseAddr(host), func(uint16) {}); err != nil {
			t.Errorf("ping %s: %v", host, err)
		}
	}
	far.mu.Lock()
	defer far.mu.Unlock()
	for _, f := range far.asked {
		if from := f.From.Addr(); from != a4 && from != a6 {
			t.Errorf("asked about %v", f)
		}
	}
}

// Where nobody takes what is for others the sender is told, and the own addresses
// answer as ever.
func TestNoTransit(t *testing.T) {
	a, b := wire(t, nil)
	if _, err := a.DialContext(t.Context(), "tcp", "192.0.2.9:80"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("with nobody: %v", err)
	}
	asked := make(chan netstack.Flow, 10)
	may := func(f netstack.Flow) bool { asked <- f; return false }
	if err := b.Forward(&netstack.Transit{May: may}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DialContext(t.Context(), "tcp", "192.0.2.9:80"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("with one who says no: %v", err)
	}
	if f := <-asked; f.Proto != probe.ProtoTCP || f.To.String() != "192.0.2.9:80" || f.From.Addr() != a4 {
		t.Errorf("asked about %v", f)
	}
	if _, err := a.DialContext(t.Context(), "tcp", "10.0.0.2:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an own address: %v", err)
	}
}

// What is on its way when the one who takes it goes ends with him.
func TestTransitEnds(t *testing.T) {
	a, b := wire(t, nil)
	far := &beyond{t: t}
	if err := b.Forward(far.transit()); err != nil {
		t.Fatal(err)
	}
	c, err := a.DialContext(t.Context(), "tcp", "192.0.2.9:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := b.Forward(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DialContext(t.Context(), "tcp", "192.0.2.9:80"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("afterwards: %v", err)
	}
}

// What a socket of this host would take for another address is none to pass on to.
func TestRoutable(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1": true, "10.0.0.1": true, "2001:db8::1": true, "fd00::1": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "::ffff:127.0.0.1": false,
		"::ffff:192.0.2.1": false, "224.0.0.1": false, "ff02::1": false, "169.254.169.254": false, "fe80::1": false,
		"255.255.255.255": false,
	} {
		if netstack.Routable(netip.MustParseAddr(text)) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
