//go:build linux

package faults

import (
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A destination may be a peer's name, and stand before the tunnel's.
func TestDestination(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	for _, c := range []struct {
		args   []string
		target string
	}{
		{args: []string{"wg0", "gateway"}, target: s.Inner(2)},
		{args: []string{"gateway", "wg0"}, target: s.Inner(2)},
		{args: []string{"gateway"}, target: s.Inner(2)},
		{args: []string{s.Web(), "wg0"}, target: s.Web()},
		{args: []string{s.IP(s.Addr.B), "/etc/wireguard/wg0.conf"}, target: s.IP(s.Addr.B)},
	} {
		var r diagnose.Report
		s.Ask(s.A, &r, append([]string{"explain"}, c.args...)...)
		if r.Target != c.target || r.Verdict.Code != diagnose.Healthy {
			t.Errorf("explain %q: %s for %s, want healthy for %s", c.args, r.Verdict.Code, r.Target, c.target)
		}
	}
	s.A.Run(s.Wgnode, "trace", s.Web(), "wg0")
	s.A.Run(s.Wgnode, "trace", "gateway", "wg0")
	sitetest.Fails(t, s.A, 1, "missing DEST: wg0 is the tunnel", s.Wgnode, "explain", "wg0")
	sitetest.Fails(t, s.A, 1, `cannot resolve destination "gatewax"`, s.Wgnode, "explain", "wg0", "gatewax")
	s.A.Run("wg", "set", "wg0", "peer", s.Gateway.Public, "allowed-ips", "10.0.0.0/24")
	sitetest.Fails(t, s.A, 1, "the peer gateway has no address of its own in its AllowedIPs", s.Wgnode, "explain", "wg0", "gateway")
	if out := s.A.Run(s.Wgnode, "__complete", "explain", "wg0", ""); !slices.Contains(strings.Fields(out), "gateway") {
		t.Errorf("completion offers %q", out)
	}
}
