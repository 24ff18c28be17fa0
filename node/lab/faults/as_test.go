//go:build linux

package faults

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A rule for one user's packets does not meet the node's probe, and it meets one that is sent
// as a process of that user.
func TestExplainAs(t *testing.T) {
	lab.Need(t, "setpriv")
	t.Parallel()
	eachFamily(t, func(t *testing.T, s *site) {
		s.UpBoth()
		const user = "65534"
		s.A.Start("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--", "sh", "-c", "echo begun; sleep 1000; :").
			WaitOutput(t.Context(), "begun")
		pid := strings.TrimSpace(s.A.Run("pgrep", "-u", user, "-x", "sh"))
		sitetest.NFT(s.A, "output", "meta skuid "+user+" drop comment culprit")
		questions := [][]string{{s.Web()}, {s.IP(s.Addr.B)}}
		for _, q := range questions {
			s.Want(s.Explain(q...), diagnose.Healthy, "")
			r := s.Explain(append(q, "--as", pid)...)
			s.Want(r, diagnose.OutputFirewall, "culprit")
			if !r.Verdict.Certain || !strings.Contains(r.As, "user "+user) {
				t.Errorf("as %q: %+v", r.As, r.Verdict)
			}
		}
		s.A.Run("nft", "delete", "table", "inet", "fault")
		for _, q := range questions {
			s.Want(s.Explain(append(q, "--as", pid)...), diagnose.Healthy, "")
		}
		s.A.Start("unshare", "-n", "sh", "-c", "echo begun; sleep 1001; :").WaitOutput(t.Context(), "begun")
		elsewhere := strings.TrimSpace(s.A.Run("pgrep", "-n", "-x", "sh"))
		for pid, says := range map[string]string{strconv.Itoa(1 << 30): "look at process", elsewhere: "another network namespace"} {
			out, status, err := s.A.Try(s.Wgnode, "explain", "wg0", s.Web(), "--as", pid)
			if status != 1 || !strings.Contains(out, says) {
				t.Errorf("as process %s: status %d, %v:\n%s", pid, status, err, out)
			}
		}
	})
}

// What a rule or a BPF program has against one control group does not meet the node's probe,
// and it meets one that is sent as a process of that group.
func TestExplainAsControlGroup(t *testing.T) {
	eachFamily(t, func(t *testing.T, s *site) {
		group := newGroup(s)
		s.A.Run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
		s.UpBoth()
		s.A.Start("sh", "-c", "echo $$ > /sys/fs/cgroup/"+filepath.Base(group)+"/cgroup.procs && echo begun; sleep 1000; :").
			WaitOutput(t.Context(), "begun")
		pid := strings.TrimSpace(s.A.Run("head", "-n", "1", "/sys/fs/cgroup/"+filepath.Base(group)+"/cgroup.procs"))
		as := func(code diagnose.Code, says string) {
			t.Helper()
			s.Want(s.Explain(s.Web()), diagnose.Healthy, "")
			r := s.Explain(s.Web(), "--as", pid)
			s.Want(r, code, says)
			if !r.Verdict.Certain || !strings.Contains(r.As, "control group /"+filepath.Base(group)) {
				t.Errorf("as %q: %+v", r.As, r.Verdict)
			}
		}
		as(diagnose.Healthy, "")

		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.CGroupSKB, AttachType: ebpf.AttachCGroupInetEgress,
			Instructions: dropping(packets{proto: "tcp", dport: 80}, s.V6, 1, 0), License: "Dual MIT/GPL"})
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		detach := attachToGroup(s, group, ebpf.AttachCGroupInetEgress, program)
		as(diagnose.BPFDrop, "cgroup")
		detach()

		if _, status, _ := s.A.Try("nft", "add", "table", "inet", "try", ";", "add", "chain", "inet", "try", "c", ";",
			"add", "rule", "inet", "try", "c", "socket", "cgroupv2", "level", "1", filepath.Base(group)); status != 0 {
			t.Log("this kernel's nftables does not know control groups")
			return
		}
		sitetest.NFT(s.A, "output", `socket cgroupv2 level 1 "`+filepath.Base(group)+`" drop comment "culprit"`)
		as(diagnose.OutputFirewall, "culprit")
	})
}
