//go:build linux

package drops

import (
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// BenchmarkForeign is what the program takes, by the kernel's own account, for a dropped packet that is
// none of those asked for: in this network namespace, and in another.
func BenchmarkForeign(b *testing.B) {
	tunnel := &Tunnel{Device: 4000, Port: 51820, Addresses: Addresses{Inner: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")},
		Local: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}
	match := Match{Proto: unix.IPPROTO_UDP, Dst: netip.MustParsePrefix("10.77.0.1/32"), DstPort: 51820}
	for _, test := range []struct {
		name      string
		elsewhere bool
		opt       Options
	}{
		{"tunnel", false, Options{Tunnel: tunnel}},
		{"tunnel, other namespace", true, Options{Tunnel: tunnel}},
		{"match", false, Options{Matches: []Match{match}}},
		{"match, other namespace", true, Options{Matches: []Match{match}}},
	} {
		b.Run(test.name, func(b *testing.B) {
			test.opt.Namespace = enter(b)
			if test.elsewhere {
				test.opt.Namespace++
			}
			stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
			if err != nil {
				b.Fatal(err)
			}
			defer stats.Close()
			w, err := Start(test.opt)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			c, err := net.ListenPacket("udp", "")
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 999} // closed
			for b.Loop() {
				if _, err := c.WriteTo(nil, to); err != nil {
					b.Fatal(err)
				}
			}
			s, err := w.maps.Programs["kfree_skb"].Stats()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(s.Runtime.Nanoseconds())/float64(s.RunCount), "ns/drop")
		})
	}
}
