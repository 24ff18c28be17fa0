//go:build linux

package system

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// Where a node may open too few files it does not come up, says what to do, and leaves
// nothing: no socket file either, by which others would take it for running.
func TestFewFiles(t *testing.T) {
	lab.Need(t, "ip")
	t.Parallel()
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	for _, n := range []int{14, 16, 18, 20, 24, 40, 63} {
		out, status, err := s.A.Try("sh", "-c", fmt.Sprintf("ulimit -n %d; exec %s up wg0", n, s.Wgnode))
		if err != nil || status == 0 {
			t.Errorf("with %d files: status %d, %v", n, status, err)
		}
		if want := "ulimit -n 1024"; !strings.Contains(out, want) {
			t.Errorf("with %d files: %q is not in\n%s", n, want, out)
		}
		sitetest.Unchanged(t, s.A, before)
		if left := s.A.Run("sh", "-c", "find /run/wgnode /var/run/wireguard -type s 2>/dev/null || true"); left != "" {
			t.Fatalf("with %d files it leaves %s", n, left)
		}
	}
}

// A pipe as resolv.conf, which nobody writes to, holds nothing up: not a tunnel whose
// endpoint is a name, nor one that has name servers, nor a question.
func TestPipeAsResolvConf(t *testing.T) {
	lab.Need(t, "ip", "mkfifo", "mount", "timeout")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/wireguard/wg0.conf", strings.Replace(s.ConfA.Text, "Endpoint = ", "# Endpoint = ", 1)+"Endpoint = hub.example:51820\n",
		0o600)
	s.A.WriteFile("/etc/wireguard/wg1.conf", strings.Replace(s.ConfA.Text, "[Interface]", "[Interface]\nDNS = 10.0.0.53", 1), 0o600)
	s.A.Run("sh", "-c", "rm -f /run/pipe; mkfifo /run/pipe; touch /etc/resolv.conf; mount --bind /run/pipe /etc/resolv.conf")
	// timeout(1) is against hanging only: what it has to end has status 124.
	limited := func(args ...string) (string, int) {
		t.Helper()
		out, status, err := s.A.Try(append([]string{"timeout", "120", s.Wgnode}, args...)...)
		if err != nil || status == 124 {
			t.Fatalf("wgnode %s: status %d, %v\n%s", strings.Join(args, " "), status, err, out)
		}
		return out, status
	}
	const want = "/etc/resolv.conf: not a regular file"
	if out, status := limited("up", "wg1"); status == 0 || !strings.Contains(out, want) {
		t.Errorf("up with name servers: status %d\n%s", status, out)
	}
	if out, status := limited("up", "wg0"); status != 0 || !strings.Contains(out, want) {
		t.Errorf("up with the name of an endpoint: status %d\n%s", status, out)
	}
	if out, _ := limited("explain", "wg0", "hub.example:80"); !strings.Contains(out, want) {
		t.Errorf("explain\n%s", out)
	}
	if out, status := limited("down", "wg0"); status != 0 {
		t.Errorf("down: status %d\n%s", status, out)
	}
}
