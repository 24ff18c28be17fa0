//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// A hub asks for the routes of all its peers' endpoints.
func BenchmarkExplainAll(b *testing.B) {
	var commands []string
	var flows []Flow
	for i := range 2000 {
		hi, lo := i/200, i%200
		commands = append(commands, fmt.Sprintf("route add 10.%d.%d.0/24 dev lo", hi, lo))
		flows = append(flows, Flow{Dst: netip.AddrFrom4([4]byte{10, byte(hi), byte(lo), 1}), Proto: unix.IPPROTO_UDP}.Own())
	}
	ownNamespace(b, commands...)
	for b.Loop() {
		for _, e := range ExplainAll(flows) {
			if e.Err != nil || !e.Walk.Verified {
				b.Fatalf("%v: %+v", e.Err, e.Walk)
			}
		}
	}
}
