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
	t.Parallel()
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

// A doctor who has watched applies the fix of what it found, and answers in JSON.
func TestDoctorFix(t *testing.T) {
	lab.Need(t, "nft")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Replace(t, "Endpoint", "PersistentKeepalive = 1\nEndpoint")
	sitetest.NFT(s.A, "input", "udp sport 51820 drop")
	s.UpBoth()
	var r struct {
		Peers   []struct{ Verdict struct{ Code diagnose.Code } }
		Applied []struct {
			ID    int
			Steps []struct {
				Line string
				Done bool
			}
			After struct{ Code diagnose.Code }
		}
	}
	out, status, err := s.A.Try("sh", "-c", s.Wgnode+" doctor wg0 --for 7s --fix --yes --json 2>/dev/null")
	if err != nil || sitetest.Decode(t, "doctor", out, &r) != nil {
		t.Fatalf("status %d, %v:\n%s", status, err, out)
	}
	if status != 0 || len(r.Peers) != 1 || len(r.Applied) != 1 || r.Peers[0].Verdict.Code != diagnose.UnderlayInputFirewall {
		t.Fatalf("status %d, %+v", status, r)
	}
	if a := r.Applied[0]; a.ID == 0 || len(a.Steps) != 1 || !a.Steps[0].Done || a.After.Code != diagnose.Healthy {
		t.Errorf("%+v", a)
	}
	if out := s.A.Run(s.Wgnode, "undo", "wg0", "--yes"); !strings.Contains(out, "undone: nft insert rule inet fault c") {
		t.Errorf("undo: %s", out)
	}
}
