//go:build linux

package netfilter_test

import (
	"errors"
	"testing"

	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

// What is asked whether all packets have been told of hears of those that came before, whether a
// rule has dropped them or routing has, and whether anything has come at all.
func TestSync(t *testing.T) {
	n := newNetwork(t)
	n.rules("table inet t { chain f { type filter hook forward priority 0; udp dport 53 drop; } }")
	for _, tt := range []struct {
		name, forwarding string
		packets          int
		outcome          netfilter.Outcome
	}{
		{"nothing", "1", 0, 0},
		{"dropped by a rule", "1", 3, netfilter.Dropped},
		{"lost in routing", "0", 3, netfilter.Lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := n.with(t)
			n.r.Sysctl("net.ipv4.ip_forward", tt.forwarding)
			f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
			tr := n.start(f.match())
			ctx := patience.Context(t)
			for range 2 {
				for range tt.packets {
					f.send(t)
				}
				tr.Sync()
				for told := 0; ; told++ {
					p, err := tr.Next(ctx)
					if errors.Is(err, netfilter.ErrSynced) {
						if told != tt.packets {
							t.Errorf("%d packets, want %d", told, tt.packets)
						}
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if got := p.Fate().Outcome; got != tt.outcome {
						t.Errorf("outcome %v, want %v", got, tt.outcome)
					}
				}
			}
		})
	}
}
