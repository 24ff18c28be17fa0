//go:build linux

package system

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// says wants that a command ends with that status and that all of the wanted
// texts are in what it prints.
func says(t *testing.T, h *lab.Host, status int, args []string, wanted ...string) {
	t.Helper()
	out, got, err := h.Try(args...)
	if err != nil || got != status {
		t.Errorf("%v: status %d, %v, want %d\n%s", args, got, err, status, out)
	}
	for _, want := range wanted {
		if !strings.Contains(out, want) {
			t.Errorf("%v: %q is not in\n%s", args, want, out)
		}
	}
}

// Whoever looks at a host that a dead node has cut off hears of the node, what
// it has left, and what undoes that, from every command.
func TestKnowsDeadNodes(t *testing.T) {
	lab.Need(t, "nft", "ip")
	t.Parallel()
	s := newSite(t, false)
	wgnode := func(args ...string) []string { return append([]string{s.Wgnode}, args...) }
	s.toml(fullIPs, "kill_switch = true", "")
	before := everything(s.A)
	s.A.Run(s.Wgnode, "up", tomlPath)
	pid := sitetest.PidOf(t, s.A)
	s.Kill()

	died := fmt.Sprintf("wg0 (pid %s) died and left its kill switch up", pid)
	todo := died + ", firewall rules, routing rules and kernel parameters: wgnode recover wg0\n"
	known := func() {
		t.Helper()
		for _, test := range []struct {
			args   []string
			status int
			want   string
		}{
			{wgnode("doctor"), 2, died},
			{wgnode("doctor", "wg0"), 2, "! node-died: "},
			{wgnode("status"), 1, died},
			{wgnode("explain", "10.0.0.2"), 1, "wgnode: " + todo},
			{wgnode("explain", "wg0", "10.0.0.2"), 1, "wgnode: " + todo},
			{wgnode("watch"), 1, "wgnode: " + todo},
			{wgnode("watch", "tcp"), 1, "wgnode: " + todo},
			{wgnode("save", "wg0"), 1, "wgnode: " + todo},
			{wgnode("watch", "wg0", "tcp"), 1, "wgnode: " + todo},
			{wgnode("record", "-w", "/run/x.pcapng"), 1, "wgnode: " + todo},
			{wgnode("trace", "wg0", "10.0.0.2"), 1, "wgnode: " + todo},
			{wgnode("reload", "wg0"), 1, "wgnode: " + todo},
			{wgnode("show"), 0, "wgnode: " + todo},
			{wgnode("show", "interfaces"), 0, "wgnode: " + todo},
			{wgnode("show", "wg0"), 1, "wgnode: " + todo},
			{wgnode("__complete", "recover", ""), 0, "wg0\n"},
			{wgnode("__complete", "down", ""), 0, "wg0\n"},
		} {
			says(t, s.A, test.status, test.args, test.want)
		}
		var r diagnose.DoctorReport
		if status := s.Ask(s.A, &r, "doctor"); status != 2 || r.Interface != "wg0" || len(r.Findings) != 1 ||
			r.Findings[0].Code != diagnose.NodeDied || !strings.HasPrefix(r.Findings[0].Summary, died) ||
			r.Findings[0].Fix[0].Line() != "wgnode recover wg0" {
			t.Errorf("status %d, %+v", status, r)
		}
	}
	known()
	// The kernel has given the number to another process meanwhile.
	journal := s.A.ReadFile("/run/wgnode/wg0.json")
	s.A.WriteFile("/run/wgnode/wg0.json", strings.Replace(journal, `{"pid":`+pid+",", `{"pid":1,`, 1), 0o600)
	says(t, s.A, 2, wgnode("doctor"), "wg0 (pid 1) died")
	s.A.WriteFile("/run/wgnode/wg0.json", journal, 0o600)

	// Another node that runs is looked at, and the dead one is not forgotten.
	s.A.WriteFile("/etc/wireguard/other.conf", "[Interface]\nPrivateKey = "+s.Gateway.Private+"\n", 0o600)
	s.A.Run(s.Wgnode, "up", "other")
	var r diagnose.DoctorReport
	if status := s.Ask(s.A, &r, "doctor"); status != 0 || r.Interface != "other" ||
		len(r.Findings) != 1 || r.Findings[0].Code != diagnose.NodeDied {
		t.Errorf("status %d, %+v", status, r)
	}
	says(t, s.A, 1, wgnode("watch", "wg0", "tcp"), "wgnode: "+todo)
	says(t, s.A, 0, wgnode("show"), "interface: other\n", "wgnode: "+todo)
	s.A.Run(s.Wgnode, "down", "other")

	// Whoever has removed the journal has not removed the kill switch.
	s.A.Run("mv", "/run/wgnode/wg0.json", "/run/wg0.json")
	says(t, s.A, 2, wgnode("doctor"), "wg0 died")
	s.A.Run("rm", "/run/wgnode/wg0.sock")
	says(t, s.A, 2, wgnode("doctor"), "wg0 died and left its kill switch up")
	s.A.Run("mv", "/run/wg0.json", "/run/wgnode/wg0.json")

	says(t, s.A, 0, wgnode("recover"), fmt.Sprintf("[!] wg0 (pid %s) has died; "+
		"what it left is undone: kill switch, firewall rules, routing rules, kernel parameters\n", pid))
	sitetest.Same(t, "left", before, everything(s.A))
	says(t, s.A, 0, wgnode("recover"), "nothing to undo")
	says(t, s.A, 0, wgnode("recover", "wg0"), "nothing to undo: no dead node called wg0")
	says(t, s.A, 1, wgnode("doctor"), "wgnode: no node is running")
}

// A tunnel of another user is known, whoever asks, and the way to ask it.
func TestKnowsNodesOfOthers(t *testing.T) {
	lab.Need(t, "setpriv", "install")
	t.Parallel()
	s := newSite(t, false)
	dir := t.TempDir()
	for d := dir; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run, program := "/run/user/65534", filepath.Join(dir, "wgnode")
	s.A.Run("cp", s.Wgnode, program)
	s.A.Run("mkdir", "-p", "/run/user")
	s.A.Run("install", "-d", "-o", "65534", "-m", "700", run)
	nobody := func(args ...string) []string {
		return append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs",
			"env", "XDG_RUNTIME_DIR=" + run, program}, args...)
	}
	says(t, s.A, 1, nobody("doctor"), "wgnode: no node of this user is running", "hint: to see the nodes of root: sudo wgnode doctor")
	s.Up(s.A, s.ConfA)
	for _, args := range [][]string{{"doctor"}, {"doctor", "wg0"}, {"explain", "wg0", "10.0.0.2"}, {"watch"}, {"trace", "wg0", "10.0.0.2"},
		{"top"}, {"top", "wg0"}, {"web"}, {"web", "wg0"}} {
		says(t, s.A, 1, nobody(args...), "wgnode: wg0 belongs to root: only that user can query it\n",
			"wgnode: hint: run it as root: sudo wgnode "+strings.Join(args, " ")+"\n")
	}
	says(t, s.A, 1, nobody("status"), "wg0  foreign\n  wg0 belongs to root: only that user can query it\n",
		"run it as root: sudo wgnode status\n", "not seen: nodes of root and of other users")
	says(t, s.A, 1, nobody("show"), "Unable to access interface wg0: Permission denied\n")
	says(t, s.A, 1, nobody("show", "wg0"), "Unable to access interface: Permission denied\n")
	says(t, s.A, 0, nobody("show", "interfaces"), "wg0\n")
	s.A.Run(s.Wgnode, "down", "wg0")

	// The other way round: root's commands, and a node without privileges.
	own := filepath.Join(dir, "own")
	s.A.Run("install", "-d", "-o", "65534", "-m", "700", own)
	file := filepath.Join(own, "nb.conf")
	s.A.WriteFile(file, s.ConfA.Text, 0o600)
	s.A.Run("chown", "65534", file)
	s.A.Run(nobody("up", file, "--netstack", "--socks5", "1080")...)
	says(t, s.A, 1, []string{s.Wgnode, "doctor"}, "wgnode: nb belongs to nobody: only that user can query it\n",
		"wgnode: hint: run it as that user: sudo -u nobody XDG_RUNTIME_DIR=/run/user/65534 wgnode doctor\n")
	says(t, s.A, 1, []string{s.Wgnode, "down", "nb"}, "wgnode: nb belongs to nobody")
	for _, word := range []string{"nb", file} {
		says(t, s.A, 1, nobody("save", word),
			"wgnode: nb runs without privileges, so wg cannot change it: there is nothing to save beyond its file\n")
	}
	// Its own user in another session.
	elsewhere := slices.DeleteFunc(nobody("doctor"), func(word string) bool { return strings.HasPrefix(word, "XDG_RUNTIME_DIR=") })
	says(t, s.A, 1, append([]string{"env", "-u", "XDG_RUNTIME_DIR"}, elsewhere...),
		"wgnode: nb was brought up with another run folder, /run/user/65534/wgnode\n", "try: XDG_RUNTIME_DIR=/run/user/65534 wgnode doctor\n")
	// Dead, it has left nothing but files.
	s.KillOf(s.A, run+"/wgnode/nb.json")
	says(t, s.A, 2, nobody("doctor"), "nb (pid ", ") died")
	says(t, s.A, 0, nobody("recover"), ") has died; its files are removed")
	says(t, s.A, 1, nobody("doctor"), "no node of this user is running")
}

// A node that is stopped is not waited for: commands say so, and what lets it go on.
func TestKnowsStoppedNodes(t *testing.T) {
	lab.Need(t, "ps")
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.A, s.ConfA)
	pid := sitetest.PidOf(t, s.A)
	s.A.Run("kill", "-STOP", pid)
	patience.Until(t, "the node is stopped", func() bool {
		return strings.HasPrefix(s.A.Run("ps", "-o", "stat=", "-p", pid), "T")
	})
	for _, args := range [][]string{
		{"doctor", "wg0"}, {"explain", "wg0", "10.0.0.2"}, {"watch", "wg0"}, {"trace", "wg0", "10.0.0.2"},
		{"reload", "wg0"}, {"record", "wg0", "-w", "-"}, {"down", "wg0"},
	} {
		says(t, s.A, 1, append([]string{s.Wgnode}, args...),
			"node wg0: its process "+pid+" is stopped and answers nothing\n", "hint: let it go on: kill -CONT "+pid+"\n")
	}
	says(t, s.A, 1, []string{s.Wgnode, "status"}, "its process "+pid+" is stopped and answers nothing\n", "let it go on: kill -CONT "+pid+"\n")
	s.A.Run("kill", "-CONT", pid)
	s.A.Run(s.Wgnode, "reload", "wg0")
	s.A.Run(s.Wgnode, "down", "wg0")
}
