//go:build linux

package faults

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Who may not ask the kernel what it drops still learns who may have dropped it: a program on
// the packet's way, and none of another device.
func TestHooksAreCandidates(t *testing.T) {
	lab.Need(t, "setpriv")
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.Up(s.H, s.ConfH)
		s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
		without := "-sys_admin,-bpf,-perfmon"
		s.A.Run("setpriv", "--inh-caps="+without, "--bounding-set="+without, s.Wgnode, "up", "wg0")
		fromH := packets{proto: "udp", sport: 51820}
		tcx("lo", ebpf.AttachTCXIngress).put(s, s.A, fromH, harmless)
		tcx("eth0", ebpf.AttachTCXIngress).put(s, s.A, fromH, culprit)
		r := s.Explain(s.Web())
		s.Want(r, diagnose.NoResponse, "the capabilities CAP_BPF and CAP_PERFMON")
		var named []string
		for _, c := range r.Verdict.Candidates {
			if c.Code == diagnose.BPFDrop {
				named = append(named, c.Check)
			}
		}
		if r.Verdict.Certain || len(named) != 1 || !strings.Contains(named[0], "at the ingress of eth0 may drop it: bpftool net show dev eth0") {
			t.Errorf("certain %v, %q", r.Verdict.Certain, named)
		}
		if slices.ContainsFunc(r.Unchecked, func(u string) bool { return strings.Contains(u, "at devices") }) {
			t.Errorf("not looked at: %q", r.Unchecked)
		}
	})
}
