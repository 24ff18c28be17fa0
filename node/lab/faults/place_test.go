//go:build linux

package faults

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// The first address of an endpoint's name is dead: the second is used, and doctor, explain
// and watch say so.
func TestNameWithDeadAddress(t *testing.T) {
	lab.Need(t, "curl")
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, v6)
			alive := s.HWan().Addr()
			dead := lastOf(s.HWan())
			s.A.WriteFile("/etc/hosts", fmt.Sprintf("%s gate.example\n%s gate.example\n", dead, alive), 0o644)
			s.ConfA.Replace(t, net.JoinHostPort(alive.String(), "51820"), "gate.example:51820")
			s.UpBoth()
			moves := s.A.Start(s.Wgnode, "watch", "wg0", "--past", "kind", "endpoint")
			if r := s.Explain(s.Web()); r.Verdict.Healthy() || !strings.Contains(fmt.Sprint(r.Verdict.Evidence), alive.String()) {
				t.Errorf("the other address is not among the evidence:\n%v", r.Verdict.Evidence)
			}
			s.A.Until("curl -s -o /dev/null -m 2 http://" + s.Web())
			moves.WaitOutput(patience.Context(t), alive.String())
			var d diagnose.DoctorReport
			if status := s.Ask(s.A, &d, "doctor", "wg0"); status != 0 {
				t.Errorf("doctor: status %d", status)
			}
			w := d.Peers[0].Endpoint
			if w == nil || w.Origin != diagnose.OriginResolved || len(w.Addresses) != 2 || w.Heard.IsZero() || len(w.Earlier) != 1 {
				t.Errorf("the endpoint: %+v", w)
			}
			for _, found := range [][]diagnose.Finding{d.Findings, s.Explain(s.Web()).Findings} {
				if !slices.ContainsFunc(found, func(f diagnose.Finding) bool {
					return f.Code == diagnose.NoResponse && strings.Contains(f.Summary, "at "+dead.String())
				}) {
					t.Errorf("the dead address is not among the findings: %+v", found)
				}
			}
		})
	}
}

// lastOf is an address of a network that no host has.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	b[len(b)-1] = 0xfa
	a, _ := netip.AddrFromSlice(b)
	return a
}
