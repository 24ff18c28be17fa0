//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// manyRoutes gives the namespace n routes beside those of fullTunnel.
func manyRoutes(b *testing.B, n int) {
	b.Helper()
	ownNamespace(b, fullTunnel...)
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "route add %d.%d.%d.0/24 via 192.168.178.1\n", 20+i>>16, i>>8&255, i&255)
	}
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("ip: %v: %s", err, out)
	}
}

func BenchmarkTake(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		for _, only := range [][]netip.Addr{nil, {addr("9.9.9.9")}} {
			b.Run(fmt.Sprintf("routes=%d/only=%d", n, len(only)), func(b *testing.B) {
				manyRoutes(b, n)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Take(Options{Only: only}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			manyRoutes(b, n)
			s, err := Take(Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if w := s.Walk(Flow{Dst: addr("9.9.9.9")}); w.Decision.OutLink() != "wg0" {
					b.Fatal(w.Decision)
				}
			}
		})
	}
}
