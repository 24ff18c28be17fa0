//go:build linux

package services

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// execSite is a site whose A has a user without any privilege, who has the
// program and a configuration in a folder, and whose H is wireguard-go.
type execSite struct {
	*site
	dir, run, program, file string
}

func newExecSite(t *testing.T) *execSite {
	lab.Need(t, "setpriv", "unshare")
	s := &execSite{site: newSite(t, false), dir: t.TempDir()}
	s.program, s.file, s.run = filepath.Join(s.dir, "wgnode"), filepath.Join(s.dir, "wg0.conf"), filepath.Join(s.dir, "run")
	s.A.Run("cp", s.Wgnode, s.program)
	s.A.Run("install", "-d", "-o", "65534", "-m", "700", s.run)
	for d := s.dir; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, status, err := s.A.Try(s.nobody("unshare", "-Urn", "true")...); err != nil || status != 0 {
		skipOrFail(t, "user namespaces cannot be made here: "+out)
	}
	s.configure("")
	s.Upstream(s.H, s.ConfH, "10.0.0.2/24", "10.0.0.1/32", "fd0a::1/128")
	return s
}

// skipOrFail skips, but not where nothing may be skipped unseen.
func skipOrFail(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// configure writes A's configuration, with more lines in its [Interface].
func (s *execSite) configure(more string) {
	s.T.Helper()
	s.A.WriteFile(s.file, strings.Replace(s.ConfA.Text, "[Interface]\n", "[Interface]\n"+more, 1), 0o644)
}

// nobody makes a command line one of that user's.
func (s *execSite) nobody(args ...string) []string {
	return append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "XDG_RUNTIME_DIR=" + s.run}, args...)
}

// exec is a command line of wgnode exec's.
func (s *execSite) exec(command ...string) []string {
	return s.nobody(append([]string{s.program, "exec", "--quiet", s.file, "--"}, command...)...)
}

// nothingLeft wants no file of a node's, and no process of that user's.
func (s *execSite) nothingLeft(h *lab.Host) {
	s.T.Helper()
	if left := h.Run("find", s.run, "-mindepth", "2"); left != "" {
		s.T.Errorf("left behind:\n%s", left)
	}
	if out, _, err := h.Try("ps", "-u", "65534", "-o", "pid=,stat=,args="); err != nil || strings.TrimSpace(out) != "" {
		s.T.Errorf("left running: %v\n%s", err, out)
	}
}

// A user without privileges runs commands that have the tunnel and nothing else.
func TestExec(t *testing.T) {
	lab.Need(t, "curl", "nft", "ping", "getent")
	s := newExecSite(t)
	// As systemd-resolved has it.
	s.A.WriteFile("/run/systemd/resolve/stub-resolv.conf", "nameserver "+s.Addr.RLan.V4.Addr().String()+"\n", 0o644)
	s.A.Run("ln", "-sf", "../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
	var outside, inside lab.Zone
	outside.Set("web.example", s.Addr.HWan.V4.Addr().String())
	outside.Set("hub.example", s.Addr.HWan.V4.Addr().String())
	s.ConfA.Replace(t, s.IP(s.Addr.HWan)+":", "hub.example:") // which is looked up outside
	inside.Set("web.example", s.Addr.B.V4.Addr().String())
	s.R.ServeDNS(s.Addr.RLan.V4.Addr().String()+":53", &outside)
	s.B.ServeDNS(s.Addr.B.V4.Addr().String()+":53", &inside)
	s.configure("DNS = " + s.Addr.B.V4.Addr().String() + "\nPostUp = touch /run/hooked\nTable = off\n")
	before := sitetest.HostState(s.A)

	if got := s.A.Run(s.exec("curl", "-sS", "http://"+s.Web())...); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	out := s.A.Run(s.nobody(s.program, "exec", s.file, "id", "-u")...)
	for _, want := range []string{"[!] skipped: PostUp: ", "[!] skipped: Table: ", "65534\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	sitetest.Unchanged(t, s.A, before)

	t.Run("names", func(t *testing.T) {
		if got := s.A.With(t).Run(s.exec("curl", "-sS", "http://web.example")...); got != "hello" {
			t.Errorf("curl printed %q", got)
		}
		if n := outside.Asked("web.example"); n != 0 {
			t.Errorf("the name server outside was asked %d times", n)
		}
		if inside.Asked("web.example") == 0 {
			t.Error("the name server inside was not asked")
		}
	})
	t.Run("names while the network changes", func(t *testing.T) {
		a := s.A.With(t)
		p := a.Start(s.exec("sh", "-c", "echo ready; until test -e "+s.dir+"/changed; do sleep 0.05; done; exec curl -sS http://web.example")...)
		p.WaitOutput(patience.Context(t), "ready")
		a.Run("sh", "-c", "cd /run/systemd/resolve; cp stub-resolv.conf new; mv new stub-resolv.conf; touch "+s.dir+"/changed")
		if err := p.Wait(); err != nil || p.Output() != "ready\nhello" {
			t.Errorf("%v\n%s", err, p.Output())
		}
	})
	t.Run("no daemon that knows names", s.noNameDaemon)
	t.Run("no other network", s.noOtherNetwork)
	t.Run("no powers", s.noPowers)
	t.Run("IPv6", func(t *testing.T) {
		a := s.A.With(t)
		s.B.With(t).ServeHTTP(net.JoinHostPort(s.Addr.B.V6.Addr().String(), "80"), "six")
		if got := a.Run(s.exec("curl", "-sS", "http://["+s.Addr.B.V6.Addr().String()+"]")...); got != "six" {
			t.Errorf("curl printed %q", got)
		}
	})
	s.nothingLeft(s.A)
}

// noNameDaemon wants the command not to ask a daemon outside for names.
func (s *execSite) noNameDaemon(t *testing.T) {
	a := s.A.With(t)
	const daemon = "/run/avahi-daemon/socket"
	a.Run("mkdir", "/run/avahi-daemon")
	l := a.Listen("unix", daemon)
	defer l.Close()
	a.Run("chmod", "666", daemon)
	ask := []string{"curl", "-sS", "--unix-socket", daemon, "http://host/"}
	if _, status, err := a.Try(s.exec(ask...)...); err != nil || status != 7 { // it could not connect
		t.Errorf("curl: status %d, %v", status, err)
	}
	if _, status, err := a.Try(s.nobody(append(ask, "-m1")...)...); err != nil || status != 28 { // nobody answered
		t.Errorf("curl outside: status %d, %v", status, err)
	}
	if out := a.Run(s.exec("grep", "hosts:", "/etc/nsswitch.conf")...); out != "hosts: files dns\n" {
		t.Errorf("nsswitch.conf: %s", out)
	}
}

// noPowers wants a command without capabilities, and without anything of wgnode's.
func (s *execSite) noPowers(t *testing.T) {
	a := s.A.With(t)
	for line := range strings.Lines(a.Run(s.exec("grep", "-E", "^Cap(Inh|Prm|Eff|Amb)", "/proc/self/status")...)) {
		if f := strings.Fields(line); len(f) != 2 || strings.Trim(f[1], "0") != "" {
			t.Errorf("the command has capabilities: %s", line)
		}
	}
	// Whatever this test has inherited, but nothing of wgnode's.
	look := []string{"sh", "-c", "ls /proc/self/fd; env | grep -c ^WGNODE || true"}
	if got, want := a.Run(s.exec(look...)...), a.Run(s.nobody(look...)...); got != want {
		t.Errorf("descriptors and environment:\n%s\nwithout exec:\n%s", got, want)
	}
	a.Run(s.exec("ping", "-c1", "-W", patience.Seconds(), "10.0.0.2")...)
}

// dial builds that static program.
func (s *execSite) dial() string {
	s.T.Helper()
	path := filepath.Join(s.dir, "dial")
	build := exec.Command("go", "build", "-o", path, "./testdata/dial")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		s.T.Fatalf("%v\n%s", err, out)
	}
	return path
}

// noOtherNetwork has a static program ignore the tunnel.
func (s *execSite) noOtherNetwork(t *testing.T) {
	dial := s.dial()
	to := net.JoinHostPort(s.Addr.HWan.V4.Addr().String(), "8000")
	s.H.With(t).Listen("tcp", to)
	s.R.With(t).RunInput("table ip seen { chain forward { type filter hook forward priority 0; tcp dport 8000 counter; "+
		"udp dport 53 counter; }; }\n", "nft", "-f", "-")
	a := s.A.With(t)
	sitetest.Fails(t, a, int(unix.ENETUNREACH), "network is unreachable", s.exec(dial, to)...)
	counted := func() int {
		return strings.Count(s.R.With(t).Run("nft", "list", "table", "ip", "seen"), "counter packets 0 ")
	}
	if n := counted(); n != 2 {
		t.Error("packets went past the tunnel")
	}
	a.Run(s.nobody(dial, to)...) // which can be counted
	if n := counted(); n != 1 {
		t.Errorf("%d counters have seen nothing, want 1", n)
	}
}

// The status of exec is the command's, however that ends.
func TestExecStatus(t *testing.T) {
	s := newExecSite(t)
	for _, test := range []struct {
		status  int
		says    string
		command []string
	}{
		{0, "", []string{"true"}},
		{7, "", []string{"sh", "-c", "exit 7"}},
		{1, "", []string{"false"}},
		{127, "run nonsense: not found", []string{"nonsense"}},
		{126, "permission denied", []string{"/etc/passwd"}},
		{126, "exec format error", []string{s.dir + "/empty"}},
	} {
		s.A.WriteFile(s.dir+"/empty", "\x00", 0o755)
		sitetest.Fails(t, s.A, test.status, test.says, s.exec(test.command...)...)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGINT} {
		wantSignal(t, s.A.Start(s.exec("sh", "-c", "kill -"+strconv.Itoa(int(sig))+" $$")...), sig)
	}
	sitetest.Fails(t, s.A, 125, "nonsense.conf", s.nobody(s.program, "exec", "/nonsense.conf", "true")...)
	sitetest.Fails(t, s.A, 2, "flags of wgnode come before", s.nobody(s.program, "exec", s.file, "--quiet", "true")...)
	sitetest.Fails(t, s.A, 2, "missing COMMAND", s.nobody(s.program, "exec", s.file)...)
	s.nothingLeft(s.A)
}

// While a command runs its node can be asked, and down ends it.
func TestExecSeen(t *testing.T) {
	lab.Need(t, "ps", "ping")
	s := newExecSite(t)
	p := s.A.Start(s.exec("sh", "-c", "echo ready; exec sleep 1000")...)
	p.WaitOutput(patience.Context(t), "ready")
	for _, to := range []string{s.Web(), s.Web(), s.Inner(2)} { // the probe's socket is used again
		if out := s.A.Run(s.nobody(s.program, "explain", "wg0", to)...); !strings.Contains(out, "healthy") {
			t.Errorf("explain %s:\n%s", to, out)
		}
	}
	sitetest.Fails(t, s.A, 2, "", s.nobody(s.program, "explain", "wg0", s.IP(s.Addr.B)+":81")...)
	if out := s.A.Run(s.nobody(s.program, "doctor")...); !strings.Contains(out, "gateway") {
		t.Errorf("doctor:\n%s", out)
	}
	sitetest.Fails(t, s.A, 125, "is already up (pid ", s.exec("true")...)
	s.A.Run(s.nobody(s.program, "down", "wg0")...)
	wantSignal(t, p, syscall.SIGTERM)
	s.nothingLeft(s.A)
}

func wantSignal(t *testing.T, p *lab.Proc, want syscall.Signal) {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != want {
		t.Errorf("ended with %v, want signal %v\n%s", err, want, p.Output())
	}
}

// Signals are the command's. It does not outlive wgnode, and wgnode does not
// outlive it.
func TestExecSignals(t *testing.T) {
	lab.Need(t, "ps")
	// Under nohup it would be ignored, and by all that is started here.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	s := newExecSite(t)
	p := s.A.Start(s.exec("sh", "-c", "trap 'echo hung up; exit 3' HUP; echo ready; while :; do sleep 0.1; done")...)
	p.WaitOutput(patience.Context(t), "ready")
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(p.Output(), "hung up") {
		t.Errorf("ended with %v\n%s", err, p.Output())
	}

	p = s.A.Start(s.exec("sh", "-c", "echo ready; exec sleep 1000")...)
	p.WaitOutput(patience.Context(t), "ready")
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantSignal(t, p, syscall.SIGKILL)
	s.awaitNobody()
	// What a killed one leaves is no hindrance.
	s.A.Run(s.exec("true")...)
	s.nothingLeft(s.A)
	s.ctrlC()
	s.nothingLeft(s.A)
}

// awaitNobody waits until the user has no process.
func (s *execSite) awaitNobody() {
	s.T.Helper()
	patience.See(s.T, "the end of all processes of nobody", func() (string, bool) {
		// A command whose parent has died is somebody else's to collect.
		out, _, err := s.A.Try("sh", "-c", "ps -u 65534 -o stat=,args= | grep -v ^Z")
		return out, err == nil && out == ""
	})
}

// Where the system forbids it, the error says which setting, and what to type.
func TestExecForbidden(t *testing.T) {
	s := newExecSite(t)
	run := func(prepare string) []string {
		return s.nobody("unshare", "-Urm", "sh", "-c", prepare+" "+s.program+" exec "+s.file+" true")
	}
	const powerless = "exec setpriv --bounding-set=-all --inh-caps=-all"
	sitetest.Fails(t, s.A, 125, "user.max_user_namespaces=0 forbids this user to make namespaces",
		run("echo 0 >/proc/sys/user/max_user_namespaces; "+powerless)...)
	sitetest.Fails(t, s.A, 125, "hint: sudo sysctl user.max_net_namespaces=", run("echo 0 >/proc/sys/user/max_net_namespaces; "+powerless)...)
	sitetest.Fails(t, s.A, 125, "open /dev/net/tun: no such file or directory\nwgnode: hint: sudo modprobe tun",
		run("mount -t tmpfs none /run; mount -t tmpfs none /dev/net; exec")...)
	s.nothingLeft(s.A)
}

// Root needs no user namespace, and has wg(8).
func TestExecAsRoot(t *testing.T) {
	lab.Need(t, "curl", "wg", "ps", "ip")
	s := newExecSite(t)
	before := sitetest.HostState(s.A)
	out := s.A.Run(s.Wgnode, "exec", s.file, "sh", "-c",
		"curl -sS http://"+s.Web()+"; wg show wg0 endpoints; readlink /proc/self/ns/user; ip -o link")
	user := s.A.Run("readlink", "/proc/self/ns/user")
	for _, want := range []string{"hello", s.Gateway.Public + "\t203.0.113.2:51820\n", user, "2: wg0: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	s.A.Run("rmdir", "/run/wireguard")
	// It keeps what root's programs need, and cannot go back to the host's network.
	s.A.Run(s.Wgnode, "exec", s.file, "sh", "-ec",
		"touch "+s.dir+"/theirs; chown 65534 "+s.dir+"/theirs; setpriv --reuid=65534 --clear-groups test -O "+s.dir+"/theirs")
	for _, way := range []string{"nsenter -t 1 -n true", "nsenter --net=/proc/self/fd/3 true",
		"unshare -Ur nsenter --net=/proc/self/fd/3 true", "mount -t tmpfs none /mnt"} {
		out, status, err := s.A.Try("sh", "-c", "nsenter --net=/proc/self/ns/net true && exec 3</proc/self/ns/net && exec "+s.Wgnode+" exec "+
			s.file+" sh -c '"+way+"'")
		if err != nil || status == 0 || !strings.Contains(strings.ToLower(out), "perm") {
			t.Errorf("%s: %v, status %d, %s", way, err, status, out)
		}
	}
	sitetest.Unchanged(t, s.A, before)
}
