//go:build linux

package faults

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/walk"
)

// In a userspace network stack the kernel has no part in the packet, but it has
// in the encrypted one.
func TestTraceNetstack(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	s.A.Run(s.Wgnode, "up", "wg0", "--netstack")
	w := s.trace(s.Web())
	if !w.Outcome.Answered {
		t.Errorf("%s", steps(w))
	}
	says(t, step(t, w, walk.Out, walk.Application, walk.Stack), "the kernel has no part in it")
	says(t, step(t, w, walk.Out, walk.Network, walk.Routing), "default via "+s.IP(s.Addr.RLan))
	says(t, step(t, w, walk.Out, walk.Network, walk.Output), "udp 10.9.1.2:51821 > 203.0.113.2:51820")
	sitetest.NFT(s.A, "output", "udp dport 51820 drop")
	w = s.trace(s.Web())
	lost := step(t, w, walk.Out, walk.Network, walk.Output)
	says(t, lost, "udp dport 51820 drop")
	if w.Outcome.Step != lost.Number {
		t.Errorf("%+v", w.Outcome)
	}
}

// Without privileges nothing is guessed.
func TestTraceBlind(t *testing.T) {
	lab.Need(t, "setpriv")
	t.Parallel()
	s := newSite(t, false)
	s.upWithout("net_admin", "sys_admin", "bpf", "perfmon")
	w := s.trace(s.Web())
	if !w.Outcome.Answered {
		t.Errorf("%s", steps(w))
	}
	says(t, step(t, w, walk.Out, walk.Network, walk.Routing), "default via "+s.IP(s.Addr.RLan))
	says(t, step(t, w, walk.Out, walk.Network, walk.Output), "not visible: ")
	sitetest.NFT(s.A, "input", "udp sport 51820 drop")
	w = s.trace(s.Web())
	first, last := step(t, w, walk.Out, walk.Network, walk.Output), step(t, w, walk.Back, walk.Tunnel, walk.Decrypt)
	if first.Status != walk.Unknown || w.Outcome.Step != first.Number || last.Status != walk.NotReached ||
		!strings.Contains(w.Outcome.Summary, "not visible") {
		t.Errorf("%s", steps(w))
	}
	says(t, step(t, w, walk.Back, walk.Network, walk.Wire), "whether this host dropped it is not visible")
}

// Who may not have packets traced, but may attach programs, still learns of the drop.
func TestTraceByDropsAlone(t *testing.T) {
	lab.Need(t, "setpriv")
	t.Parallel()
	s := newSite(t, false)
	s.upWithout("net_admin")
	to := s.IP(s.Addr.B) // an echo request is sent once all is ready to see it
	if w := s.trace(to); !w.Outcome.Answered {
		t.Errorf("%s", steps(w))
	}
	sitetest.NFT(s.A, "input", "udp sport 51820 drop")
	w := s.trace(to)
	lost := step(t, w, walk.Back, walk.Network, walk.Input)
	if w.Outcome.Answered || w.Outcome.Step != lost.Number || lost.Status != walk.Lost {
		t.Errorf("%s", steps(w))
	}
	says(t, lost, "dropped by the kernel, NETFILTER_DROP in nft_do_chain, at eth0")
}

// upWithout brings the nodes up, A's in userspace's network stack and without some of root's capabilities.
func (s *site) upWithout(capabilities ...string) {
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	without := "-" + strings.Join(capabilities, ",-")
	s.A.Run("setpriv", "--inh-caps="+without, "--bounding-set="+without, s.Wgnode, "up", "wg0", "--netstack")
}
