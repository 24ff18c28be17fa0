//go:build linux

package recordings

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// sshd serves ssh on H, and returns what WGNODE_SSH must be to reach it.
func (s *site) sshd() string {
	s.T.Helper()
	dir := s.T.TempDir()
	s.A.Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/user")
	s.A.Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/host")
	s.H.WriteFile(dir+"/sshd_config", fmt.Sprintf(`Port 22
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/user.pub
StrictModes no
PermitRootLogin yes
UsePAM no
PidFile none
SetEnv PATH=%[2]s:/usr/bin:/bin
`, dir, filepath.Dir(s.Wgnode)), 0o600)
	s.H.Run("mkdir", "-p", "/run/sshd")
	d := s.H.Start("/usr/sbin/sshd", "-D", "-e", "-f", dir+"/sshd_config")
	d.WaitOutput(patience.Context(s.T), "Server listening")
	return "ssh -q -i " + dir + "/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
}

// With the other end heard, explain gives one ladder and a verdict that is certain.
func TestExplainWith(t *testing.T) {
	lab.Need(t, "curl", "nft", "ssh", "sshd", "ssh-keygen")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	explain, with := s.with()
	with(diagnose.Healthy, "", true)
	out := s.A.Run(explain...)
	for _, want := range []string{"heard on a and h", "✓ B4 tun-write   h ", "A4-B3 a to h: ", "healthy"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	drop(hostH, "forward", "tcp dport 80")(s)
	with(diagnose.ForwardFirewall, "B5", true)
	s.H.Run("nft", "delete", "table", "inet", "culprit")
	drop(hostR, "forward", "udp dport 51820")(s)
	with(diagnose.LostOnPath, "B3", true) // the data, and the handshake that is tried in its place
	s.A.Run(s.Wgnode, "down", "wg0")
	s.A.Run(s.Wgnode, "up", "wg0")
	with(diagnose.LostOnPath, "B1", true)
}

// with is the command that explains with H, and a function that wants a verdict of it.
func (s *site) with() (explain []string, want func(code diagnose.Code, at string, certain bool)) {
	explain = []string{"env", "WGNODE_SSH=" + s.sshd(), s.Wgnode, "explain", "wg0", s.Web(), "--with", "root@" + s.IP(s.Addr.HWan)}
	return explain, func(want diagnose.Code, at string, certain bool) {
		s.T.Helper()
		out, status, err := s.A.Try(append(explain, "--json")...)
		var r diagnose.Report
		if err != nil || sitetest.Decode(s.T, "explain", out, &r) != nil {
			s.T.Fatalf("status %d, %v:\n%s", status, err, out)
		}
		v := &r.Verdict
		if v.Code != want || v.Checkpoint.String() != at || v.Certain != certain || (status == 0) != v.Healthy() {
			s.T.Errorf("status %d, verdict %+v", status, v)
		}
		hosts := make(map[string]bool)
		for _, g := range r.Ladder {
			hosts[g.Host] = true
		}
		if !hosts["a"] || !hosts["h"] {
			s.T.Errorf("the ladder is of %v", hosts)
		}
		s.noRecorder(s.H)
	}
}

// A fix of H's is applied from A, and taken back.
func TestFixThere(t *testing.T) {
	lab.Need(t, "curl", "nft", "ssh", "sshd", "ssh-keygen")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	explain, with := s.with()
	drop(hostH, "forward", "tcp dport 80")(s)
	out, status, err := s.A.Try(append(slices.Clip(explain), "--fix", "--yes")...)
	if err != nil || status != 0 || !strings.Contains(out, "healthy now") {
		t.Fatalf("fix there: status %d, %v\n%s", status, err, out)
	}
	to := explain[len(explain)-2:]
	undo := append([]string{explain[0], explain[1], s.Wgnode, "undo"}, to...)
	if list := s.A.Run(append(slices.Clip(undo), "--list")...); !strings.Contains(list, "forward-firewall") {
		t.Errorf("undo --list there: %s", list)
	}
	if none := s.A.Run(s.Wgnode, "undo", "--yes"); !strings.Contains(none, "nothing that was applied") {
		t.Errorf("applied here: %s", none)
	}
	s.A.Run(append(slices.Clip(undo), "--yes")...)
	with(diagnose.ForwardFirewall, "B5", true)
}

// noRecorder wants no recording to be going on any more.
func (s *site) noRecorder(h *lab.Host) {
	s.T.Helper()
	patience.See(s.T, "the end of the recording", func() (string, bool) {
		out, _, err := h.Try("sh", "-c", "ps -e -o args= | grep '[r]ecord .*-w'")
		return out, err == nil && out == ""
	})
}

// What can go wrong with the other host is said, with a remedy, and nothing stays
// behind there.
func TestExplainWithFails(t *testing.T) {
	lab.Need(t, "ps", "ssh", "sshd", "ssh-keygen")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	ssh := s.sshd()
	toH := "root@" + s.IP(s.Addr.HWan)
	for name, c := range map[string]struct {
		args []string
		env  string
		want []string
	}{
		"no such command": {[]string{"--with-command", "no-such-command-here"}, "",
			[]string{"not found", "hint: install wgnode on the other host, or give its path: --with-command 'ssh USER@HOST /usr/local/bin/wgnode'"}},
		"no such program there": {[]string{"--with-command", ssh + " " + toH + " no-such-program"}, "",
			[]string{"not found", "hint: install wgnode"}},
		"cannot log in": {[]string{"--with", "root@" + s.IP(s.Addr.RWan)}, "ssh -o BatchMode=yes -o ConnectTimeout=3",
			[]string{"no connection", "hint: can you log in? Try: ssh root@"}},
		"no such node":    {[]string{"--with", toH, "--with-name", "wg7"}, ssh, []string{"hint: is wg7 the interface there?"}},
		"not a recording": {[]string{"--with-command", "echo hello #"}, "", []string{"not a recording"}},
		"dies": {[]string{"--with-command", "dies() { " + ssh + " " + toH + ` wgnode "$@" | head -c 1000; return 3; }; dies`},
			"", []string{"it cannot record"}},
		"both":      {[]string{"--with", "x", "--with-command", "y"}, "", []string{"exclude each other"}},
		"an option": {[]string{"--with", "-oProxyCommand=x"}, "", []string{"--with"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, status, err := s.A.With(t).Try(append([]string{"env", "WGNODE_SSH=" + c.env, s.Wgnode, "explain", "wg0", s.Inner(2)}, c.args...)...)
			if err != nil || status == 0 {
				t.Errorf("status %d, %v", status, err)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
	// Killed in the middle, it leaves no recording going on either.
	drop(hostR, "forward", "udp dport 51820")(s)
	p := s.A.StartEnv([]string{"WGNODE_SSH=" + ssh}, s.Wgnode, "explain", "wg0", s.Web(), "--with", toH)
	s.H.Until("ps -e -o args= | grep -q '[r]ecord .*-w'")
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.noRecorder(s.H)
}
