package wgtool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// These tests ask the real wg(8) and this program the same thing, and want the
// same bytes. wg has the folder of the sockets built in, so they run in a mount
// namespace with an empty one, and in a network namespace without interfaces.

// A device with a fixed answer shows what depends on time, size and order.
func TestShowFixedDevices(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	serveText(t, "many", manyPeers())
	serveText(t, "bare", "errno=0\n\n")
	checkAllForms(t, exactly, "many", "bare")
}

// A wireguard-go device, set up by wg, with a session between two of its kind.
func TestShowRealDevices(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	a, b := key.GeneratePrivate(), key.GeneratePrivate()
	serveDevice(t, "wga")
	serveDevice(t, "wgb")
	wgSet(t, "wga", "private-key", secretFile(t, a.Base64()), "listen-port", "51820", "fwmark", "0xca6c")
	wgSet(t, "wgb", "private-key", secretFile(t, b.Base64()), "listen-port", "51821")
	wgSet(t, "wgb", "peer", a.Public().Base64(), "allowed-ips", "0.0.0.0/0,::/0")
	wgSet(t, "wga", "peer", b.Public().Base64(), "endpoint", "127.0.0.1:51821", "allowed-ips", "10.0.0.2/32,fd00::2/128",
		"persistent-keepalive", "25")
	wgSet(t, "wga", "peer", key.GeneratePrivate().Public().Base64(), "endpoint", "[fe80::1%lo]:7", "allowed-ips", "10.1.0.0/16",
		"preshared-key", secretFile(t, key.GeneratePreshared().Base64()))
	wgSet(t, "wga", "peer", key.GeneratePrivate().Public().Base64())
	awaitHandshake(t, "wga", b.Public())
	// wireguard-go lists peers in another order each time.
	checkAllForms(t, inAnyOrder, "wga", "wgb")
}

// No interface can have a name of sixteen letters, and upstream says so since 2023.
func TestShowLongName(t *testing.T) {
	for _, command := range []string{"show", "showconf"} {
		got := runWgnode([]string{command, "sixteen-letters."})
		if got.status != 1 || got.errors != "Unable to access interface: File name too long\n" {
			t.Errorf("%s: %+v", command, got)
		}
	}
}

func TestShowErrors(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	// No devices at all: nothing to show is no error.
	sameAsWg(t, exactly)
	sameAsWg(t, exactly, "interfaces")
	sameAsWg(t, exactly, "all", "bogus")
	sameAsWg(t, exactly, "wg0")
	sameAsWg(t, exactly, "wg0", "dump")
	sameAsWg(t, exactly, "lo")
	sameAsWg(t, exactly, "a/b")

	serveText(t, "refusing", "errno=1\n\n")
	serveText(t, "mute", "")
	serveText(t, "cut", "listen_port=1\n")
	serveText(t, "odd", "listen_port=many\nerrno=0\n\n")
	for _, name := range []string{"refusing", "mute", "cut", "odd"} {
		sameAsWg(t, exactly, name)
	}
	// None can be shown: that is one.
	sameAsWg(t, exactly)
	sameAsWg(t, exactly, "all", "peers")

	serveText(t, "well", "errno=0\n\n")
	sameAsWg(t, exactly)
	sameAsWg(t, exactly, "all", "fwmark")
	sameAsWg(t, exactly, "all", "bogus")
	sameAsWg(t, exactly, "well", "bogus")
	sameAsWg(t, exactly, "interfaces", "peers")
	sameAsWg(t, exactly, "well", "dump", "more")
}

// checkAllForms compares every form of show on the named devices and on all.
func checkAllForms(t *testing.T, order func(string) string, names ...string) {
	t.Helper()
	sameAsWg(t, order)
	sameAsWg(t, order, "interfaces")
	for _, name := range append(names, "all") {
		sameAsWg(t, order, name)
		for _, field := range fieldNames() {
			if name == "all" && field == "endpoints" {
				checkAllEndpoints(t, order)
				continue
			}
			sameAsWg(t, order, name, field)
		}
	}
	t.Setenv("WG_HIDE_KEYS", "never")
	sameAsWg(t, order)
	t.Setenv("WG_COLOR_MODE", "always")
	sameAsWg(t, order)
	sameAsWg(t, order, "all", "dump")
	t.Setenv("WG_COLOR_MODE", "never")
	sameAsWg(t, order)
}

// checkAllEndpoints compares `show all endpoints` with what wg says about each
// interface: wg up to 1.0.20210914 forgot the interface on all lines but the
// first, later ones print what is wanted here.
func checkAllEndpoints(t *testing.T, order func(string) string) {
	t.Helper()
	var want strings.Builder
	for _, name := range strings.Fields(runWg(t, []string{"show", "interfaces"}).out) {
		for line := range strings.Lines(runWg(t, []string{"show", name, "endpoints"}).out) {
			want.WriteString(name + "\t" + line)
		}
	}
	got := runWgnode([]string{"show", "all", "endpoints"})
	if order(got.out) != order(want.String()) || got.errors != "" || got.status != 0 {
		t.Errorf("show all endpoints: status %d\n%s%swant:\n%s", got.status, got.out, got.errors, want.String())
	}
}

// sameAsWg runs `show ARGS` in both programs, and compares output, messages
// and exit status after order was applied to the output.
func sameAsWg(t *testing.T, order func(string) string, args ...string) {
	t.Helper()
	args = append([]string{"show"}, args...)
	// Time passes meanwhile. What wg said before and after is comparable only
	// when it is the same, and when their clocks were in one second all the time:
	// wg's is time(2), which is up to a tick behind.
	for range 10 {
		start := tickSecond(t)
		before := runWg(t, args)
		got := runWgnode(args)
		want := runWg(t, args)
		got.out, before.out, want.out = order(got.out), order(before.out), order(want.out)
		if before != want || time.Now().Unix() != start {
			continue
		}
		if got != want {
			t.Errorf("%q:\n--- wg, status %d\n%s%s--- wgnode, status %d\n%s%s",
				args, want.status, want.out, want.errors, got.status, got.out, got.errors)
		}
		return
	}
	t.Errorf("%q: wg says something else each time", args)
}

// tickSecond is the second that time(2) tells.
func tickSecond(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
		t.Fatal(err)
	}
	return now.Sec
}

type result struct {
	out, errors string
	status      int
}

func runWgnode(args []string) result {
	var out, errOut bytes.Buffer
	status := runProgram(append([]string{"wgnode"}, args...), strings.NewReader(""), &out, &errOut)
	return result{out: out.String(), errors: errOut.String(), status: status}
}

func runWg(t *testing.T, args []string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command("wg", args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	// The name of the program is the only difference between them.
	messages := strings.ReplaceAll(errOut.String(), "Usage: wg ", "Usage: wgnode ")
	return result{out: out.String(), errors: messages, status: cmd.ProcessState.ExitCode()}
}

func exactly(s string) string { return s }

// inAnyOrder sorts the paragraphs of the pretty form, or else the lines.
func inAnyOrder(s string) string {
	separator := "\n"
	if strings.Contains(s, "\n\n") {
		separator = "\n\n"
	}
	parts := strings.Split(strings.TrimSuffix(s, "\n"), separator)
	slices.Sort(parts)
	return strings.Join(parts, separator)
}

// manyPeers is the answer of a device whose peers differ in all that show
// words, sorts or leaves out.
func manyPeers() string {
	private := key.GeneratePrivate()
	var b strings.Builder
	fmt.Fprintf(&b, "private_key=%s\nlisten_port=65535\nfwmark=4294967295\n", private.Hex())
	now := time.Now().Unix()
	const minute, hour, day, year = 60, 3600, 86400, 365 * 86400
	peer := func(lines string) {
		fmt.Fprintf(&b, "public_key=%s\n%s", key.GeneratePrivate().Public().Hex(), lines)
	}
	for _, age := range []int64{hour, -1000, 2 * minute, 0, 1, minute + 1, day + hour, 2*day + 2, 3*year + 364*day, year, now - 1} {
		peer(fmt.Sprintf("preshared_key=%s\nlast_handshake_time_sec=%d\nlast_handshake_time_nsec=%d\n",
			key.GeneratePreshared().Hex(), now-age, age&1))
	}
	peer("last_handshake_time_sec=0\nlast_handshake_time_nsec=5\n")
	peer(fmt.Sprintf("preshared_key=%064x\nlast_handshake_time_sec=%d\nlast_handshake_time_nsec=999999999\n", 0, now-hour))
	for _, n := range []uint64{0, 1, 1023, 1024, 1536, 1<<20 - 1, 1 << 20, 1<<30 - 1, 1 << 30, 1<<40 - 1, 1 << 40, 1<<64 - 1} {
		peer(fmt.Sprintf("rx_bytes=%d\ntx_bytes=%d\n", n, n/3))
	}
	for _, seconds := range []int{0, 1, 25, 60, 61, 3600, 65535} {
		peer(fmt.Sprintf("persistent_keepalive_interval=%d\n", seconds))
	}
	for _, endpoint := range []string{
		"192.0.2.1:1", "[2001:db8::1]:65535", "[fe80::1%lo]:51820", "[::1]:5", "[::ffff:192.0.2.1]:5", "[::192.0.2.1]:5", "[1:0:0:2::]:5",
	} {
		peer("endpoint=" + endpoint + "\n")
	}
	peer("allowed_ip=0.0.0.0/0\nallowed_ip=::/0\n")
	peer("allowed_ip=10.0.0.1/8\nallowed_ip=::192.0.2.0/120\nallowed_ip=::1/128\nallowed_ip=::ffff:10.0.0.0/104\n" +
		"allowed_ip=1:0:2:0:3:0:4:0/112\n")
	b.WriteString("errno=0\n\n")
	return b.String()
}

// inOwnNamespaces runs the calling test once more, in a process with network
// and mount namespaces of its own, and reports whether this is that process.
// /run is empty there, and ends with the process, as does the network.
func inOwnNamespaces(t *testing.T) bool {
	t.Helper()
	const marker = "WGNODE_TEST_IN_NAMESPACES"
	if os.Getenv(marker) != "" {
		if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
			t.Fatalf("mount an empty /run: %v", err)
		}
		if err := os.MkdirAll(uapi.SocketDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("ip link set lo up: %v: %s", err, out)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces of its own")
	}
	for _, program := range []string{"wg", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: %v", program, err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in its own namespaces: %v\n%s", err, out)
	}
	return false
}

// serve answers at NAME.sock with handle, one connection after the other.
func serve(t *testing.T, name string, handle func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(uapi.SocketDir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener was closed
			}
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

func serveText(t *testing.T, name, text string) {
	t.Helper()
	serve(t, name, func(c net.Conn) {
		// Both programs first connect only to see that somebody is there.
		if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
			io.WriteString(c, text)
		}
	})
}

// serveDevice runs a wireguard-go device: real sockets and sessions, and a TUN
// that nobody reads.
func serveDevice(t *testing.T, name string) {
	t.Helper()
	dev := device.NewDevice(tuntest.NewChannelTUN().TUN(), conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, ""))
	t.Cleanup(dev.Close)
	if err := dev.Up(); err != nil {
		t.Fatal(err)
	}
	serve(t, name, func(c net.Conn) { dev.IpcHandle(c) })
}

func wgSet(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("wg", append([]string{"set"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("wg set %q: %v: %s", args, err, out)
	}
}

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitHandshake polls, for lack of an event, until the session exists.
func awaitHandshake(t *testing.T, name string, peer key.Public) {
	t.Helper()
	patience.Until(t, "a handshake on "+name, func() bool {
		status, err := uapi.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		p := status.Peer(peer)
		return p != nil && !p.LastHandshake.IsZero() && p.RxBytes > 0 && p.TxBytes > 0
	})
}
