//go:build linux

package system

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// hooked gives A's configuration hooks, each of which appends a line to a log
// about what it sees of the interface.
func hooked(t *testing.T, s *site, more ...string) {
	var lines []string
	for _, phase := range []string{"PreUp", "PostUp", "PreDown", "PostDown"} {
		lines = append(lines, phase+` = echo `+phase+
			` %i "$(ip link show %i >/dev/null 2>&1 && echo link)" "$(wg show %i private-key 2>/dev/null | wc -c)" >> /etc/log # a comment for bash`)
	}
	s.ConfA.Replace(t, "[Interface]\n", "[Interface]\n"+strings.Join(append(lines, more...), "\n")+"\n")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
}

// takeLog returns what the hooks logged since the last time.
func takeLog(s *site) string {
	log := s.A.Run("sh", "-c", "cat /etc/log 2>/dev/null; rm -f /etc/log")
	return log
}

func wantLog(t *testing.T, s *site, when, want string) {
	t.Helper()
	if diff := cmp.Diff(want, takeLog(s)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

const (
	loggedUp   = "PreUp wg0 link 7\nPostUp wg0 link 45\n" // "(none)", a key
	loggedDown = "PreDown wg0 link 45\nPostDown wg0  0\n"
)

// Hooks run in wg-quick's order, and may use wg and ip on the interface. What
// ends the node decides who runs those of going down, not whether.
func TestHooks(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	hooked(t, s)
	before := sitetest.HostState(s.A)

	out := s.A.Run(s.Wgnode, "up", "wg0")
	if !strings.Contains(out, "\n[#] echo PreUp wg0 ") {
		t.Errorf("up printed\n%s", out)
	}
	wantLog(t, s, "up", loggedUp)
	s.A.Run(s.Wgnode, "down", "wg0")
	wantLog(t, s, "down", loggedDown)
	sitetest.Unchanged(t, s.A, before)

	node := s.A.Start(s.Wgnode, "run", "wg0")
	node.WaitOutput(patience.Context(t), "[#] echo PostUp")
	s.AwaitNode()
	if err := node.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := node.Wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	wantLog(t, s, "run, ended by SIGTERM", loggedUp+loggedDown)
	sitetest.Unchanged(t, s.A, before)

	s.A.Run(s.Wgnode, "up", "wg0")
	s.Kill()
	takeLog(s)
	s.A.Run(s.Wgnode, "down", "wg0")
	wantLog(t, s, "down after SIGKILL", "PreDown wg0  0\nPostDown wg0  0\n")
}

// What hooks have done before one fails only their author can undo: each is named.
func TestHooksThatAreNotUndone(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Replace(t, "[Interface]\n", "[Interface]\nPreUp = true\nPostUp = ip route add blackhole 192.0.2.9 # %i\nPostUp = false\n"+
		"PostUp = echo never\nPostDown = ip route delete blackhole 192.0.2.9\n")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	out, status, err := s.A.Try(s.Wgnode, "up", "wg0")
	const want = "[!] not undone: what PreUp (/etc/wireguard/wg0.conf:2) did: true\n" +
		"[!] not undone: what PostUp (/etc/wireguard/wg0.conf:3) did: ip route add blackhole 192.0.2.9 # wg0\n" +
		"[!] not undone: what PostUp (/etc/wireguard/wg0.conf:4) did: false\n" +
		"[!] PreDown and PostDown were not run: "
	if err != nil || status != 1 || !strings.Contains(out, want) {
		t.Errorf("status %d, %v, want 1 and\n%s\nin\n%s", status, err, want, out)
	}
	if s.A.Run("ip", "route", "show", "192.0.2.9") == "" {
		t.Error("the first hook did nothing")
	}
	if out, status, err := s.A.Try("ip", "link", "show", "wg0"); err != nil || status == 0 {
		t.Errorf("still there: %s, %v", out, err)
	}
	s.A.Run("ip", "route", "delete", "blackhole", "192.0.2.9")
	// Without hooks there is nothing to say.
	s.ConfA.Text = strings.NewReplacer("PreUp = true\n", "", "PostUp", "#").Replace(s.ConfA.Text) + "[Peer]\nPublicKey = x\n"
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	if out, _, err := s.A.Try(s.Wgnode, "up", "wg0"); err != nil || strings.Contains(out, "not undone") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// A hook that fails keeps a tunnel from coming up, or from going down.
func TestHooksFail(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	for _, tc := range []struct {
		hook, log string
		status    int
	}{
		{"PreUp = false | cat; echo not reached >> /etc/log", "PreUp wg0 link 7\n", 1},
		{"PostUp = [[ %i == wg0 ]] && exit 3", loggedUp, 3},
	} {
		s := newSite(t, false)
		hooked(t, s, tc.hook)
		before := sitetest.HostState(s.A)
		sitetest.Fails(t, s.A, tc.status, "wgnode: /etc/wireguard/wg0.conf:", s.Wgnode, "up", "wg0")
		wantLog(t, s, tc.hook, tc.log)
		sitetest.Unchanged(t, s.A, before)
	}

	s := newSite(t, false)
	hooked(t, s, "PreDown = test -e /etc/may-go")
	s.A.Run(s.Wgnode, "up", "wg0")
	takeLog(s)
	sitetest.Fails(t, s.A, 1, "run PreDown hook: exit status 1", s.Wgnode, "down", "wg0")
	s.A.Run("wg", "show", "wg0")
	s.A.Run("touch", "/etc/may-go")
	takeLog(s)
	s.A.Run(s.Wgnode, "down", "wg0")
	wantLog(t, s, "down at last", loggedDown)
}

// Saved is what the interface does by then, and what only the file knew.
func TestSave(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps", "wg")
	t.Parallel()
	s := newSite(t, false)
	hooked(t, s, "# stays", "MTU = 1380")
	s.ConfA.Replace(t, "[Peer]\n", "[Peer]\n# Name = the gateway\n")
	s.ConfA.Replace(t, "AllowedIPs = ", "AllowedIPs = 0.0.0.0/0, ")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o644)
	sitetest.Fails(t, s.A, 1, "`wg0' is not a WireGuard interface", s.Wgnode, "save", "wg0")
	s.A.Run(s.Wgnode, "up", "wg0")
	stranger := strings.TrimSpace(s.A.Run("sh", "-c", "wg genkey | wg pubkey"))
	s.A.Run("wg", "set", "wg0", "listen-port", "4600", "peer", stranger, "allowed-ips", "10.200.0.9/32", "persistent-keepalive", "21")
	s.A.Run("ip", "address", "add", "10.201.0.1/24", "dev", "wg0")
	s.A.Run("ip", "link", "set", "wg0", "mtu", "1300")
	s.A.Run(s.Wgnode, "save", "wg0")
	saved := s.A.ReadFile("/etc/wireguard/wg0.conf")
	for _, want := range []string{", 10.201.0.1/24\n", "MTU = 1300\n", "# stays\n", "ListenPort = 4600\n", "# Name = the gateway\n",
		"PostUp = echo PostUp %i",
		"PublicKey = " + stranger + "\nAllowedIPs = 10.200.0.9/32\nPersistentKeepalive = 21\n", "# a comment for bash"} {
		if !strings.Contains(saved, want) {
			t.Errorf("%q is not in what was saved", want)
		}
	}
	for _, no := range []string{"FwMark", "fe80"} {
		if strings.Contains(saved, no) {
			t.Errorf("%q was saved", no)
		}
	}
	if mode := s.A.Run("stat", "-c%a", "/etc/wireguard/wg0.conf"); mode != "600\n" {
		t.Errorf("mode %s", mode)
	}
	s.A.Run(s.Wgnode, "down", "wg0")
	s.A.Run(s.Wgnode, "up", "wg0")
	if out := s.A.Run("wg", "show", "wg0", "dump"); !strings.Contains(out, stranger) || !strings.Contains(out, "\t4600\t") {
		t.Errorf("up again\n%s", out)
	}

	// SaveConfig does it on the way down, whoever ends the node.
	s.A.Run("sh", "-c", "sed -i 's/^MTU.*/MTU = 1300\\nSaveConfig = true/' /etc/wireguard/wg0.conf")
	s.A.Run("wg", "set", "wg0", "listen-port", "4700")
	s.A.Run(s.Wgnode, "down", "wg0")
	if saved := s.A.ReadFile("/etc/wireguard/wg0.conf"); !strings.Contains(saved, "ListenPort = 4700\n") {
		t.Error("down has not saved the port")
	}
	node := s.A.Start(s.Wgnode, "run", "wg0")
	node.WaitOutput(patience.Context(t), "[#] echo PostUp")
	s.AwaitNode()
	s.A.Run("wg", "set", "wg0", "listen-port", "4800")
	if err := node.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := node.Wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	if saved := s.A.ReadFile("/etc/wireguard/wg0.conf"); !strings.Contains(saved, "ListenPort = 4800\n") {
		t.Error("SIGTERM has not saved the port")
	}
}

// The plan is printed, and nothing is done.
func TestDryRun(t *testing.T) {
	lab.Need(t, "bash", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	hooked(t, s)
	before := sitetest.HostState(s.A)
	plan := s.A.Run(s.Wgnode, "up", "wg0", "--dry-run")
	wantLog(t, s, "dry run", "")
	sitetest.Unchanged(t, s.A, before)
	if done := s.A.Run(s.Wgnode, "up", "wg0"); done != plan {
		t.Errorf("planned\n%s\ndone\n%s", plan, done)
	}
	sitetest.Fails(t, s.A, 1, "`wg0' already exists", s.Wgnode, "up", "wg0", "--dry-run")
}
