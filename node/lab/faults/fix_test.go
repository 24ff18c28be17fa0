//go:build linux

package faults

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// What is asked of A with --fix is mended, and undo puts the fault back.
func TestFixAndUndo(t *testing.T) {
	lab.Need(t, "nft", "ip", "wg", "iptables-nft", "conntrack")
	for _, c := range []struct {
		code diagnose.Code
		how  string // the case of the matrix
	}{
		{code: diagnose.DestNotRouted, how: "unreachable route"},
		{code: diagnose.DestNotRouted, how: "blackhole rule"},
		{code: diagnose.RouteBypassesTunnel, how: "more specific route"},
		{code: diagnose.RouteBypassesTunnel, how: "route gone"},
		{code: diagnose.RouteBypassesTunnel, how: "interface down"},
		{code: diagnose.NoAllowedIPsMatch, how: "taken out, still routed"},
		{code: diagnose.OutputFirewall, how: "nft inet filter output 0, drop"},
		{code: diagnose.OutputFirewall, how: "iptables filter OUTPUT DROP"},
		{code: diagnose.EndpointNotRouted, how: "blackhole route"},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%s/v6=%v", c.code, c.how, v6), func(t *testing.T) {
				t.Parallel()
				for _, f := range faults() {
					if f.code == c.code && f.how == c.how && f.side == "A" {
						f.fixAndUndo(f.site(t, v6))
						return
					}
				}
				t.Fatal("the matrix has no such case")
			})
		}
	}
}

func (f *fault) fixAndUndo(s *site) {
	s.T.Helper()
	if f.conf != nil {
		f.conf(s)
	}
	s.UpBoth()
	if f.inject != nil {
		f.inject(s)
	}
	conf := s.A.ReadFile("/etc/wireguard/wg0.conf")
	sitetest.Fails(s.T, s.A, 1, "add --yes", s.Wgnode, "explain", "wg0", s.Web(), "--fix")
	out, status, err := s.A.Try(s.Wgnode, "explain", "wg0", s.Web(), "--fix", "--yes")
	if err != nil || status != 0 || !strings.Contains(out, "healthy now") {
		s.T.Fatalf("after the fix: status %d, %v\n%s", status, err, out)
	}
	if list := s.A.Run(s.Wgnode, "undo", "--list"); !strings.Contains(list, string(f.code)) {
		s.T.Errorf("undo --list: %s", list)
	}
	if out := s.A.Run(s.Wgnode, "undo", "--yes"); strings.Contains(out, "left as it is") {
		s.T.Errorf("undo: %s", out)
	}
	s.Want(s.Explain(s.Web()), cmp.Or(f.want, f.code), "")
	if now := s.A.ReadFile("/etc/wireguard/wg0.conf"); now != conf {
		s.T.Errorf("the configuration is now\n%s", now)
	}
	if left := s.A.Run("sh", "-c", "ls -A /run/wgnode/fixes"); left != "" {
		s.T.Errorf("left in the journal: %s", left)
	}
}
