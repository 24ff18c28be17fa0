package explain

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// A datagram is sent until one comes back, and an ICMP error ends it.
func TestExchange(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience.Limit())
	defer cancel()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	var from net.Addr
	go func() {
		buf := make([]byte, 100)
		for first := true; ; first = false { // the first one is lost
			n, client, err := server.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			if !first {
				from = client
				got <- string(buf[:n])
				_, _ = server.WriteTo([]byte("pong"), client)
				return
			}
		}
	}()
	to := netip.MustParseAddrPort(server.LocalAddr().String())
	var port uint16
	if err := (Host{}).Exchange(ctx, to, []byte("ping"), func(id uint16) { port = id }); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "ping" || port == 0 || port != portOf(from) {
		t.Errorf("got %q from %v, said to be from port %d", text, from, port)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (Host{}).Exchange(ctx, to, []byte("ping"), func(uint16) {}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed port: %v", err)
	}
}

func TestPayload(t *testing.T) {
	for _, test := range []struct {
		port uint16
		own  string
		size int
	}{
		{port: 53, size: 17},
		{port: 123, size: 48},
		{port: 53, own: "own", size: 3},
		{port: 9, size: len("wgnode explain\n")},
	} {
		r := Request{Target: netip.AddrPortFrom(netip.IPv4Unspecified(), test.port), UDP: true, Payload: []byte(test.own)}
		if got := r.payload(); len(got) != test.size {
			t.Errorf("port %d, own %q: %q", test.port, test.own, got)
		}
	}
}

func TestCanProbe(t *testing.T) {
	to := netip.MustParseAddrPort("10.0.0.2:53")
	for _, test := range []struct {
		name   string
		prober Prober
		req    Request
		fails  bool
	}{
		{name: "by the host", prober: Host{}, req: Request{Target: to, UDP: true}},
		{name: "by a stack", prober: Stack{}, req: Request{Target: to, UDP: true}},
		{name: "TCP only", prober: tcpOnly{}, req: Request{Target: to, UDP: true}, fails: true},
		{name: "TCP only, by TCP", prober: tcpOnly{}, req: Request{Target: to}},
		{name: "no prober", req: Request{Target: to}, fails: true},
		{name: "no prober, passive", req: Request{Target: to, UDP: true, Passive: true}},
		{name: "no port", prober: Host{}, req: Request{Target: netip.AddrPortFrom(to.Addr(), 0), UDP: true}, fails: true},
		{name: "too large", prober: Host{}, req: Request{Target: to, UDP: true, Payload: make([]byte, MaxPayload+1)}, fails: true},
	} {
		if err := (&Subject{Prober: test.prober}).canProbe(&test.req); (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// tcpOnly is a prober without UDP.
type tcpOnly struct{ Prober }
