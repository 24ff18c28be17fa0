package transit

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Datagrams pass both ways, a port where nobody listens says so, and a flow ends by
// silence or when there are too many.
func TestDatagrams(t *testing.T) {
	b := newBed(t, proxy.Options{IdleTime: 300 * time.Millisecond})
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	froms := make(chan string, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			froms <- from.String()
			_, _ = echo.WriteTo(buf[:n], from)
		}
	})
	defer wg.Wait()
	defer echo.Close()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.hosts["udp 192.0.2.1:53"], b.hosts["udp 192.0.2.1:54"] = echo.LocalAddr().String(), closed.LocalAddr().String()
	b.mu.Unlock()
	_ = closed.Close()

	c, err := b.peer.DialContext(t.Context(), "udp", "192.0.2.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(size int) (from string) {
		t.Helper()
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 65535)); n != size || err != nil {
			t.Fatalf("%d bytes of %d, %v", n, size, err)
		}
		return <-froms
	}
	first := ask(100)
	if again := ask(9000); again != first {
		t.Errorf("one flow is sent from %s and %s", first, again)
	}
	b.await("the end by silence", func() bool {
		u, err := net.ListenPacket("udp", first)
		if err != nil {
			return false // its socket is still there
		}
		_ = u.Close()
		return true
	})
	ask(100)

	d, err := b.peer.DialContext(t.Context(), "udp", "192.0.2.1:54")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
}

// The flow that was silent for longest makes room for another.
func TestFlowsEvict(t *testing.T) {
	fs := flows{max: 2}
	one, leaveOne := fs.open(t.Context())
	two, leaveTwo := fs.open(t.Context())
	time.Sleep(time.Millisecond)
	one.touch()
	three, leaveThree := fs.open(t.Context())
	if one.ctx.Err() != nil || two.ctx.Err() == nil || three.ctx.Err() != nil {
		t.Errorf("one %v, two %v, three %v", one.ctx.Err(), two.ctx.Err(), three.ctx.Err())
	}
	for _, leave := range []func(){leaveOne, leaveTwo, leaveThree} {
		leave()
	}
	if len(fs.all) != 0 {
		t.Errorf("%d are left", len(fs.all))
	}
}

func TestRules(t *testing.T) {
	rules := Rules{
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), First: 80, Last: 90},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Proto: probe.ProtoTCP},
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Proto: probe.ProtoUDP, First: 53, Last: 53},
		{Prefix: netip.MustParsePrefix("fd00::/8")},
		{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Last: 90}, // half a range allows nothing
		{Prefix: netip.MustParsePrefix("203.0.113.0/24"), First: 90},
	}
	for _, test := range []struct {
		proto uint8
		to    string
		want  bool
	}{
		{probe.ProtoTCP, "10.1.1.1:80", true}, {probe.ProtoUDP, "10.1.1.1:90", true}, {probe.ProtoTCP, "10.1.1.1:91", false},
		{probe.ProtoICMP, "10.1.1.1:0", false}, {probe.ProtoTCP, "192.0.2.1:1", true}, {probe.ProtoUDP, "192.0.2.1:1", false},
		{probe.ProtoICMP, "192.0.2.1:0", false}, {probe.ProtoUDP, "198.51.100.1:53", true}, {probe.ProtoTCP, "198.51.100.1:53", false},
		{probe.ProtoICMPv6, "[fd00::1]:0", true}, {probe.ProtoTCP, "[fe80::1]:80", false}, {probe.ProtoUDP, "127.0.0.1:53", false},
		{probe.ProtoTCP, "203.0.113.1:80", false}, {probe.ProtoTCP, "203.0.113.1:90", false}, {probe.ProtoTCP, "203.0.113.1:91", false},
		{probe.ProtoUDP, "169.254.169.254:53", false}, {probe.ProtoUDP, "0.0.0.0:53", false},
	} {
		if got := rules.Allow(netstack.Flow{Proto: test.proto, To: netip.MustParseAddrPort(test.to)}); got != test.want {
			t.Errorf("protocol %d to %s: %v", test.proto, test.to, got)
		}
	}
}
