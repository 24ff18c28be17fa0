//go:build linux

package system

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// These tests bring interfaces up and down on hosts of their own.

func TestUpWatchDown(t *testing.T) {
	lab.Need(t, "wg", "curl", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	beforeA, beforeH := sitetest.HostState(s.A), sitetest.HostState(s.H)
	s.UpBoth()
	text := s.A.Start(s.Wgnode, "watch", "wg0", "--past")
	text.WaitOutput(patience.Context(t), "tun-read") // the kernel's router solicitation
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Fatalf("curl printed %q", got)
	}
	for _, want := range []string{" A1 tun-read ", " A2 udp-send ", " A3 udp-receive ", " A4 udp-send ", " A5 udp-receive ",
		" A6 tun-write "} {
		text.WaitOutput(patience.Context(t), want)
	}
	if err := text.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := text.Wait(); err != nil {
		t.Errorf("watch: %v after Ctrl-C", err)
	}

	jsons := s.A.Start(s.Wgnode, "watch", "tcp", "port", "80", "--json", "--past") // the only node
	jsons.WaitOutput(patience.Context(t), `"A6"`)
	jsons.Stop()
	for line := range strings.Lines(jsons.Output()) {
		var e struct {
			Inner struct{ SPort, DPort int }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Inner.SPort != 80 && e.Inner.DPort != 80 {
			t.Errorf("%v in %q", err, line)
		}
	}

	for _, args := range [][]string{{"wg", "show", "wg0"}, {s.Wgnode, "show", "wg0"}} {
		if out := s.A.Run(args...); !strings.Contains(out, s.Gateway.Public) || !strings.Contains(out, "latest handshake") {
			t.Errorf("%v:\n%s", args, out)
		}
	}
	sitetest.Fails(t, s.A, 1, "to apply changes: wgnode reload wg0", s.Wgnode, "up", "wg0")
	sitetest.Fails(t, s.A, 2, "nonsense", s.Wgnode, "watch", "wg0", "nonsense")
	sitetest.Fails(t, s.A, 1, "carol", s.Wgnode, "watch", "wg0", "peer", "carol")

	if out := s.A.Run(s.Wgnode, "down", "wg0"); !strings.Contains(out, "[#] ip link delete dev wg0\n") {
		t.Errorf("down printed\n%s", out)
	}
	s.H.Run(s.Wgnode, "down", "/etc/wireguard/wg0.conf")
	sitetest.Unchanged(t, s.A, beforeA)
	sitetest.Unchanged(t, s.H, beforeH)
	sitetest.Fails(t, s.A, 1, "`wg0' is not a WireGuard interface", s.Wgnode, "down", "wg0")
	sitetest.Fails(t, s.A, 1, "not running", s.Wgnode, "watch", "wg0")
}

// What a killed node leaves behind is undone by down, and by the next up.
func TestKilledNode(t *testing.T) {
	lab.Need(t, "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	s.Up(s.A, s.ConfA)
	s.Kill()
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Unchanged(t, s.A, before)
	s.Up(s.A, s.ConfA)
	s.Kill()
	if out := s.A.Run(s.Wgnode, "up", "wg0"); !strings.Contains(out, "[!] the process that served wg0 was killed") {
		t.Errorf("up printed\n%s", out)
	}
	s.A.Run("wg", "show", "wg0")
	s.A.Run(s.Wgnode, "down", "wg0")
	sitetest.Unchanged(t, s.A, before)
}

func TestUpFails(t *testing.T) {
	lab.Need(t, "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	private := s.Alice.Private
	other := s.A.ListenPacket("udp", ":51999")
	defer other.Close()
	before := sitetest.HostState(s.A)
	for name, test := range map[string]struct{ conf, want string }{
		"port in use": {"[Interface]\nPrivateKey=" + private + "\nListenPort=51999\n", "address already in use"},
		"route exists": {"[Interface]\nPrivateKey=" + private + "\n[Peer]\nPublicKey=" + s.Gateway.Public + "\nAllowedIPs=" +
			s.Addr.A.V4.Masked().String() + ",10.77.0.0/16\n",
			"add route " + s.Addr.A.V4.Masked().String() + " dev wg0: the route already exists (dev eth0 proto kernel)"},
		"syntax": {"[Interface]\nPrivateKey=short\n", "/etc/wireguard/wg0.conf:2: PrivateKey"},
	} {
		t.Run(name, func(t *testing.T) {
			h := s.A.With(t)
			h.WriteFile("/etc/wireguard/wg0.conf", test.conf, 0o600)
			out, status, err := h.Try(s.Wgnode, "up", "wg0")
			if err != nil || status != 1 || !strings.Contains(out, test.want) {
				t.Errorf("status %d, %v, want %q in\n%s", status, err, test.want, out)
			}
			if strings.Contains(out, private) {
				t.Error("the private key is printed")
			}
			sitetest.Unchanged(t, h, before)
		})
	}
}

// childPid returns the process id, inside of the host, of the process that up
// has begun.
func childPid(t *testing.T, h *lab.Host) string {
	t.Helper()
	for line := range strings.Lines(h.Run("ps", "-e", "-o", "pid=,args=")) {
		if f := strings.Fields(line); len(f) > 2 && filepath.Base(f[1]) == "wgnode" && f[2] == "run" {
			return f[0]
		}
	}
	t.Fatal("there is no process in the background")
	return ""
}

// Until the tunnel is up, Ctrl-C takes back what was done; and if the process
// that was to stay in the background dies, up says so.
func TestUpInterrupted(t *testing.T) {
	lab.Need(t, "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\n", 0o644)
	s.ConfA.Replace(t, s.IP(s.Addr.HWan)+":", "hub.example:")
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	before := sitetest.HostState(s.A)
	for name, test := range map[string]struct {
		end  func(up *lab.Proc)
		want string
	}{
		"Ctrl-C": {func(up *lab.Proc) {
			if err := up.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}, "bring wg0 up: "},
		"killed": {func(*lab.Proc) { s.A.Run("kill", "-9", childPid(s.T, s.A)) }, "died: signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			dns := s.A.With(t).ListenPacket("udp", "127.0.0.1:53") // which does not answer
			defer dns.Close()
			up := s.A.With(t).Start(s.Wgnode, "up", "wg0")
			if _, _, err := dns.ReadFrom(make([]byte, 512)); err != nil {
				t.Fatal(err)
			}
			test.end(up)
			var exit *exec.ExitError
			if err := up.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(up.Output(), test.want) {
				t.Errorf("%v, want %q in\n%s", err, test.want, up.Output())
			}
			s.A.With(t).Run("rm", "-df", "/run/wgnode")
			sitetest.Unchanged(t, s.A, before)
		})
	}
}

func TestRunInForeground(t *testing.T) {
	lab.Need(t, "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	dir := t.TempDir()
	notify, err := net.ListenPacket("unixgram", filepath.Join(dir, "notify"))
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	// A hook does not speak for the node.
	heard := filepath.Join(dir, "heard")
	hook := "[Interface]\nPostUp = echo ${NOTIFY_SOCKET-none} >" + heard
	s.A.WriteFile("/etc/wireguard/wg0.conf", strings.Replace(s.ConfA.Text, "[Interface]", hook, 1), 0o600)
	p := s.A.StartEnv([]string{"NOTIFY_SOCKET=" + notify.LocalAddr().String()}, s.Wgnode, "run", "wg0")
	next := func() string {
		buf := make([]byte, 100)
		if err := notify.SetReadDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
		n, _, err := notify.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Output())
		}
		return string(buf[:n])
	}
	if got := next(); got != "READY=1" {
		t.Errorf("notified %q", got)
	}
	if got := s.A.Run("cat", heard); strings.TrimSpace(got) != "none" {
		t.Errorf("a hook is told of the service manager's socket: %s", got)
	}
	s.A.Run("wg", "show", "wg0")
	if out := s.A.Run("sh", "-c", "grep -i '^Max core' /proc/"+sitetest.PidOf(t, s.A)+"/limits"); !strings.Contains(out, " 0 ") {
		t.Errorf("core files are allowed: %s", out)
	}
	p.Stop()
	if got := next(); got != "STOPPING=1" {
		t.Errorf("notified %q", got)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	sitetest.Unchanged(t, s.A, before)

	// Somebody deletes the interface: the node ends by itself, without fault.
	p = s.A.Start(s.Wgnode, "run", "wg0")
	s.AwaitNode()
	s.A.Run("ip", "link", "delete", "wg0")
	if err := p.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	sitetest.Unchanged(t, s.A, before)
}

func TestUpExplains(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	out := s.A.Run(s.Wgnode, "up", "wg0", "--explain")
	for _, want := range []string{
		"[#] ip link add dev wg0 type wireguard  # the interface that packets enter the tunnel by",
		"peer gateway", "healthy",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	s.A.Run("curl", "-sS", "http://"+s.Web()) // it stays up
}

// The name of an endpoint that appears only later does not stop the node.
func TestEndpointNameAppears(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.Up(s.H, s.ConfH)
	s.ConfA.Replace(t, s.IP(s.Addr.HWan)+":", "hub.example:")
	s.A.WriteFile("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", 0o644)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	out := s.A.Run(s.Wgnode, "up", "wg0")
	if !strings.Contains(out, "[!] cannot resolve endpoint hub.example:") || !strings.Contains(out, "peer gateway") {
		t.Errorf("up printed\n%s", out)
	}
	s.A.WriteFile("/etc/hosts", s.IP(s.Addr.HWan)+" hub.example\n", 0o644)
	// TCP repeats its SYN; each makes the device try again.
	if got := s.A.Run("curl", "-sS", "--retry", "20", "--retry-all-errors", "--retry-delay", "1",
		"http://"+s.Web()); !strings.HasSuffix(got, "hello") {
		t.Errorf("curl printed %q", got)
	}
}

// device is what wireguard-go is, to wg and to wg-quick.
func TestDevice(t *testing.T) {
	lab.Need(t, "wg", "wg-quick", "ip", "ps")
	t.Parallel()
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	s.A.Run(s.Wgnode, "device", "wg0")
	// Ready when it returns: no waiting here.
	s.A.RunInput(s.Alice.Private, "wg", "set", "wg0", "private-key", "/dev/stdin", "listen-port", "51821",
		"peer", s.Gateway.Public, "allowed-ips", "10.0.0.2/32", "endpoint", "203.0.113.2:51820")
	if got := s.A.Run("wg", "show", "wg0", "allowed-ips"); got != s.Gateway.Public+"\t10.0.0.2/32\n" {
		t.Errorf("allowed-ips: %q", got)
	}
	other := lab.NewKey(t)
	conf := func(peers string) string {
		return "[Interface]\nPrivateKey=" + s.Alice.Private + "\nListenPort=51821\n" + peers
	}
	for _, test := range []struct{ command, conf, want string }{
		{"setconf", conf("[Peer]\nPublicKey=" + other.Public + "\nAllowedIPs=10.0.0.3/32\n"), other.Public + "\t10.0.0.3/32\n"},
		{"addconf", "[Peer]\nPublicKey=" + other.Public + "\nAllowedIPs=10.0.0.4/32\n", other.Public + "\t10.0.0.4/32\n"},
		{"syncconf", conf("[Peer]\nPublicKey=" + s.Gateway.Public + "\nAllowedIPs=10.0.0.2/32\n"), s.Gateway.Public + "\t10.0.0.2/32\n"},
	} {
		s.A.RunInput(test.conf, "wg", test.command, "wg0", "/dev/stdin")
		if got := s.A.Run("wg", "show", "wg0", "allowed-ips"); got != test.want {
			t.Errorf("%s: allowed-ips %q, want %q", test.command, got, test.want)
		}
	}
	sitetest.Fails(t, s.A, 1, "`wg0' is not a WireGuard interface that wgnode brought up", s.Wgnode, "down", "wg0")
	s.A.Run("ip", "link", "delete", "wg0")
	awaitState(t, s.A, before)

	// The same by the name wireguard-go, as wg-quick calls it. It takes the
	// device down by removing the interface and its socket.
	link := filepath.Join(t.TempDir(), "wireguard-go")
	if err := os.Symlink(s.Wgnode, link); err != nil {
		t.Fatal(err)
	}
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	s.A.Run("env", "WG_QUICK_USERSPACE_IMPLEMENTATION="+link, "wg-quick", "up", "wg0")
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	if out := s.A.Run(s.Wgnode, "explain", "wg0", s.Web()); !strings.Contains(out, "healthy") {
		t.Errorf("explain:\n%s", out)
	}
	s.A.Run("wg-quick", "down", "wg0")
	awaitState(t, s.A, before)
}

// awaitState waits for what a process in the background does once its interface
// has gone.
func awaitState(t *testing.T, h *lab.Host, want string) {
	t.Helper()
	patience.See(t, "the state of before", func() (string, bool) {
		got := sitetest.HostState(h)
		return cmp.Diff(want, got), got == want
	})
}
