package netstack_test

import (
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// A stack reaches itself without a packet leaving it.
func TestDialAndListen(t *testing.T) {
	a4, a6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	dev, n, err := netstack.New([]netip.Addr{a4, a6}, 1420)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	l, err := n.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	ctx := patience.Context(t)
	for _, a := range []netip.Addr{a4, a6} {
		c, err := n.DialContext(ctx, "tcp", netip.AddrPortFrom(a, 80).String())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); string(b) != "hello" {
			t.Errorf("%s says %q, %v", a, b, err)
		}
		_ = c.Close()
	}
	if _, err := n.ListenPacket("udp", "10.0.0.1:53"); err != nil {
		t.Error(err)
	}
	for _, bad := range []struct{ network, address, want string }{
		{"tcp", "example.com:80", "no DNS server"},
		{"tcp", "10.0.0.1", "missing port"},
	} {
		if _, err := n.DialContext(ctx, bad.network, bad.address); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("dial %s: %v", bad.address, err)
		}
	}
	if _, err := n.Listen("udp", ":1"); err == nil {
		t.Error("Listen takes udp")
	}
	if _, err := n.Listen("tcp", ":99999"); err == nil {
		t.Error("Listen takes port 99999")
	}
}
