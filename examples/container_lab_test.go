//go:build linux

package examples

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// engine does on host A what a container's engine does: a root of its own, which
// holds what the image holds and is read-only, a user who is nobody, and no
// capabilities. There are /proc and /run, and no /dev at all. H is wireguard-go, and B, behind it, has
// a web server and a name server.
type engine struct {
	*lab.Classic
	t      *testing.T
	file   *containerfile
	root   string
	client lab.Key // the container's key
	server lab.Key
}

func newEngine(t *testing.T) *engine {
	lab.Need(t, "setpriv", "chroot", "curl", "make")
	e := &engine{lab.NewClassic(t, lab.Options{}), t, readContainerfile(t), t.TempDir(), lab.NewKey(t), lab.NewKey(t)}
	program := filepath.Join(e.root, e.file.program[1])
	// As the Containerfile has it.
	if out, err := exec.Command("make", "-s", "-C", "..", "build", "PROGRAM="+program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	static(t, program)
	for _, dir := range []string{"run", "proc", "etc/wireguard"} {
		if err := os.MkdirAll(filepath.Join(e.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	e.A.Run("mount", "--bind", e.root, e.root)
	e.A.Run("mount", "-o", "remount,bind,ro", e.root)
	e.A.Run("mount", "-t", "proc", "proc", e.root+"/proc")
	e.A.Run("mount", "-t", "tmpfs", "-o", "mode=1777,size=1m", "tmpfs", e.root+"/run")
	e.A.Run("mount", "-t", "tmpfs", "tmpfs", e.root+"/etc/wireguard")

	e.H.WireguardGo(lab.Tunnel{Name: "wg0", Addrs: []string{"10.77.0.1/24"}, Routes: []string{"10.77.0.2/32"}, Conf: fmt.Sprintf(
		"[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.77.0.2/32\n",
		e.server.Private, e.client.Public)})
	zone := new(lab.Zone)
	zone.Set("web.corp.example", e.Addr.B.V4.Addr().String())
	e.B.ServeDNS(net.JoinHostPort(e.Addr.B.V4.Addr().String(), "53"), zone)
	e.B.ServeHTTP(e.web(), "hello")
	return e
}

// static checks that a program takes no other file to run.
func static(t *testing.T, program string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a %v", p.Type)
		}
	}
	if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 {
		t.Errorf("the program needs %v, %v", libs, err)
	}
}

func (e *engine) web() string { return net.JoinHostPort(e.Addr.B.V4.Addr().String(), "80") }

// configure writes a plain configuration of wg-quick's, with more in its [Peer],
// that the container's user may read and others may not.
func (e *engine) configure(more string) {
	e.t.Helper()
	path := e.root + "/etc/wireguard/wg0.conf"
	e.A.WriteFile(path, fmt.Sprintf(`[Interface]
PrivateKey = %s
Address = 10.77.0.2/24
DNS = %s, corp.example
[Peer]
# Name = server
PublicKey = %s
Endpoint = %s
AllowedIPs = 10.77.0.0/24, %s
PersistentKeepalive = 25
%s
`, e.client.Private, e.Addr.B.V4.Addr(), e.server.Public, net.JoinHostPort(e.Addr.HWan.V4.Addr().String(), "51820"),
		e.Addr.B.V4.Masked(), more), 0o400)
	e.A.Run("chown", e.file.user, path)
}

// command is a command line in the container.
func (e *engine) command(args ...string) []string {
	prefix := append([]string{"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, e.file.env...)
	// What chroot takes cannot be had again: no program can gain capabilities.
	prefix = append(prefix, "setpriv", "--bounding-set=-all,+sys_chroot,+setuid,+setgid", "--inh-caps=-all", "--no-new-privs",
		"chroot", "--userspec="+e.file.user, "--groups=", e.root)
	return append(prefix, args...)
}

// run begins the container and returns when it has said that and can be asked.
func (e *engine) run(want string, args ...string) *lab.Proc {
	e.t.Helper()
	p := e.A.Start(e.command(append(slices.Clone(e.file.entry), args...)...)...)
	ctx := patience.Context(e.t)
	p.WaitOutput(ctx, want)
	if err := e.A.AwaitSocket(ctx, e.root+"/run/wgnode/wg0.sock"); err != nil {
		e.t.Fatalf("%v\n%s", err, p.Output())
	}
	return p
}

// wgnode is what `docker exec` and the like do.
func (e *engine) wgnode(args ...string) (out string, status int) {
	e.t.Helper()
	out, status, err := e.A.Try(e.command(append(slices.Clone(e.file.entry), args...)...)...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out, status
}

func (e *engine) stop(p *lab.Proc) {
	e.t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		e.t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		e.t.Errorf("%v\n%s", err, p.Output())
	}
	if left := e.A.Run("find", e.root+"/run/wgnode", "-mindepth", "1"); left != "" {
		e.t.Errorf("left behind:\n%s", left)
	}
}

func (e *engine) explain() *diagnose.Report {
	e.t.Helper()
	out, _ := e.wgnode("explain", "wg0", e.web(), "--json")
	var r diagnose.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		e.t.Fatalf("%v in\n%s", err, out)
	}
	return &r
}

func (e *engine) curl(args ...string) {
	e.t.Helper()
	if got := e.A.Run(append([]string{"curl", "-sS"}, args...)...); got != "hello" {
		e.t.Errorf("curl %v printed %q", args, got)
	}
}

// powerless checks what the kernel knows of a process.
func (e *engine) powerless(p *lab.Proc) {
	e.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		e.t.Fatal(err)
	}
	user, group, _ := strings.Cut(e.file.user, ":")
	for _, want := range []string{
		"\nNoNewPrivs:\t1\n", "\nUid:\t" + user + "\t" + user + "\t" + user + "\t" + user + "\n",
		"\nGid:\t" + group + "\t" + group + "\t" + group + "\t" + group + "\n", "\nGroups:\t \n",
		"\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n", "\nCapEff:\t0000000000000000\n", "\nCapAmb:\t0000000000000000\n",
	} {
		if !strings.Contains(string(status), want) {
			e.t.Errorf("%q is not in\n%s", want, status)
		}
	}
}

// The image does what it is for where nothing is allowed and nothing is there.
func TestContainer(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.configure("")

	// Without a tmpfs it says what it misses.
	given := e.file.env
	e.file.env = []string{"XDG_RUNTIME_DIR=/var/run"}
	if out, status := e.wgnode(e.file.args...); status != 1 ||
		!strings.Contains(out, "wgnode: create run folder: mkdir /var: read-only file system\nwgnode: hint: ") ||
		!strings.Contains(out, "--tmpfs /run") {
		t.Errorf("status %d in\n%s", status, out)
	}
	e.file.env = given

	// As the image has it, without a flag.
	p := e.run("[!] skipped: DNS: ", e.file.args...)
	if want := "[!] there is no interface wg0: this process has no CAP_NET_ADMIN over its network, and open " +
		"/dev/net/tun: no such file or directory\n"; !strings.Contains(p.Output(), want) {
		t.Errorf("%q is not in\n%s", want, p.Output())
	}
	e.powerless(p)
	if r := e.explain(); !r.Verdict.Healthy() {
		t.Errorf("verdict %s", r.Verdict.Code)
	}
	// What a killed one leaves in a volume does not keep the next one from starting.
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed

	p = e.run("[#] SOCKS5 proxy at 127.0.0.1:1080\n", append(slices.Clone(e.file.args), "--socks5", "127.0.0.1:1080")...)
	e.curl("--socks5-hostname", "127.0.0.1:1080", "http://web.corp.example/")
	r := e.explain()
	if !r.Verdict.Healthy() || len(r.Ladder) != 6 {
		t.Errorf("verdict %s, a ladder of %d", r.Verdict.Code, len(r.Ladder))
	}
	for _, rung := range r.Ladder {
		if rung.Status != diagnose.Pass && rung.Status != diagnose.NotNeeded {
			t.Errorf("%s: %s", rung.Checkpoint, rung.Status)
		}
	}
	e.stop(p)

	for name, c := range map[string]*container{"compose": readCompose(t), "Kubernetes": readSidecar(t)} {
		t.Log(name)
		if !strings.HasPrefix("/etc/wireguard/wg0.conf", c.config) {
			t.Errorf("%s mounts its configuration on %s", name, c.config)
		}
		for _, a := range c.addresses {
			e.A.Run("ip", "address", "add", a, "dev", "lo")
		}
		p := e.run("[#] HTTP proxy at ", c.args...)
		e.curl("-x", c.proxy, "http://web.corp.example/")
		if got := e.A.Run("curl", "-sS", "http://127.0.0.1:9586/readyz"); !strings.Contains(got, `"status":"ready"`) {
			t.Errorf("%s: readyz says %s", name, got)
		}
		for _, check := range c.checks {
			if out, status, err := e.A.Try(e.command(check...)...); status != 0 || err != nil {
				t.Errorf("%s: %q: status %d, %v\n%s", name, check, status, err, out)
			}
		}
		e.stop(p)
	}

	e.configure("PresharedKey = " + lab.NewKey(t).Private)
	p = e.run("[#] SOCKS5 proxy", append(slices.Clone(e.file.args), "--socks5", "127.0.0.1:1080")...)
	if r := e.explain(); r.Verdict.Code != diagnose.PSKMismatch {
		t.Errorf("verdict %s", r.Verdict.Code)
	}
	if out, status := e.wgnode("doctor"); status != 2 || !strings.Contains(out, string(diagnose.PSKMismatch)) {
		t.Errorf("doctor: status %d\n%s", status, out)
	}
	e.stop(p)
}
