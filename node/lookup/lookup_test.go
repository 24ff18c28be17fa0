//go:build linux

package lookup

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
)

var (
	one, two, three = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")
	inside          = netip.MustParseAddr("10.0.0.53")
)

func noMark() uint32 { return 0 }

func anyWay(netip.Addr) string { return "" }

// served returns a resolver that asks the given servers, of which two and three
// are there and know the zone.
func served(t *testing.T, z *lab.Zone, servers ...netip.Addr) *Resolver {
	t.Helper()
	r := &Resolver{avoid: []netip.Addr{inside}, mark: noMark, around: anyWay, servers: servers}
	for _, a := range []netip.Addr{two, three} {
		c, err := net.ListenPacket("udp", netip.AddrPortFrom(a, r.port).String())
		if err != nil {
			t.Skipf("needs port %d of %s: %v", r.port, a, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		r.port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		go z.Serve(c)
	}
	return r
}

func TestLookup(t *testing.T) {
	var z lab.Zone
	z.Set("hub.example", "203.0.113.2", "2001:db8::2", "203.0.113.3")
	z.Set("empty.example")
	// Nobody listens at the first.
	r := served(t, &z, one, two, three)
	got, err := r.Lookup(t.Context(), "hub.example")
	slices.SortFunc(got, netip.Addr.Compare)
	if err != nil || fmt.Sprint(got) != "[203.0.113.2 203.0.113.3 2001:db8::2]" {
		t.Errorf("got %v, %v", got, err)
	}
	for name, says := range map[string]string{"none.example": "no such host", "empty.example": "no such host"} {
		before := z.Asked(name)
		if got, err := r.Lookup(t.Context(), name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if z.Asked(name) == before {
			t.Errorf("%s: nobody was asked", name)
		}
	}
	// /etc/hosts of the machine.
	if got, err := r.Lookup(t.Context(), "localhost"); err != nil || !slices.Contains(got, one) || z.Asked("localhost") != 0 {
		t.Errorf("localhost: %v, %v", got, err)
	}
}

func TestServers(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &Resolver{avoid: []netip.Addr{inside}, mark: noMark, around: anyWay,
		files: files{path("resolv.conf"), []string{path("none"), path("behind")}}}
	for _, step := range []struct{ name, conf, behind, want string }{
		{name: "no file", want: "[]"},
		{name: "plain", conf: "# a comment\nsearch example\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver what\n" +
			"nameserver\n", want: "[192.0.2.1 fe80::1%eth0]"},
		{name: "the tunnel's", conf: "nameserver 10.0.0.53\n", want: "[192.0.2.1 fe80::1%eth0]"},
		{name: "another network", conf: "nameserver 10.0.0.53\nnameserver 192.0.2.7\n", want: "[192.0.2.7]"},
		{name: "a cache", conf: "nameserver 127.0.0.53\n", behind: "nameserver 10.0.0.53\nnameserver 192.0.2.8\n", want: "[192.0.2.8]"},
		{name: "a cache, nothing known", conf: "nameserver 127.0.0.1\n", behind: "nameserver 127.0.0.1\n", want: "[127.0.0.1]"},
		{name: "many", conf: strings.Repeat("nameserver 192.0.2.9\n", 9), want: "[192.0.2.9 192.0.2.9 192.0.2.9]"},
	} {
		if step.conf != "" {
			write("resolv.conf", step.conf)
		}
		if step.behind != "" {
			write("behind", step.behind)
		}
		r.Refresh()
		if got, _ := r.present(); fmt.Sprint(got) != step.want {
			t.Errorf("%s: %v, want %s", step.name, got, step.want)
		}
	}
}
