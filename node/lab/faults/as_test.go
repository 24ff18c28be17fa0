//go:build linux

package faults

import (
	"strconv"
	"strings"
	"testing"

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
