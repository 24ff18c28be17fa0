//go:build linux

package kernelwg

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

// enter enters an empty network namespace, which vanishes with the thread, and makes a device
// in it that takes what is sent to 10.7.0.0/24.
func enter(t *testing.T) Options {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	for _, command := range []string{
		"ip link set lo up", "ip link add wg0 type veth peer name far", "ip link set far up", "ip link set wg0 arp off up",
		"ip address add 10.7.0.1/24 dev wg0",
	} {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	l, err := netlink.LinkByName("wg0")
	if err != nil {
		t.Fatal(err)
	}
	rec, err := probe.NewRecorder(probe.MinRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Device: uint32(l.Attrs().Index), Port: 51820, Recorder: rec}
}

// await waits for an event that matches.
func await(t *testing.T, sub *probe.Subscription, what string, match func(*probe.Event) bool) probe.Event {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), patience.Deadline())
	defer cancel()
	var e [1]probe.Event
	for {
		if _, err := sub.Read(ctx, e[:]); err != nil {
			t.Fatalf("await %s: %v", what, err)
		}
		if match(&e[0]) {
			return e[0]
		}
	}
}

// Packets at the device and messages at the others are told apart and told right, also
// where one datagram has several messages that are to be cut.
func TestCapture(t *testing.T) {
	opt := enter(t)
	s, err := StartAt(probe.LevelCapture, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	peer := key.Public{7}
	s.Know(&Device{Peers: []Peer{{Public: peer, Endpoint: netip.MustParseAddrPort("127.0.0.1:51820"),
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.7.0.2/32")}}}})
	sub := opt.Recorder.Subscribe(probe.SubscribeOptions{})
	defer sub.Close()

	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 7, 0, 1), Port: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for to, reason := range map[byte]probe.Reason{2: probe.ReasonNone, 99: probe.NoAllowedIPsMatch} {
		if _, err := c.WriteToUDP([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 7, 0, to), Port: 9}); err != nil {
			t.Fatal(err)
		}
		e := await(t, sub, "a packet into the tunnel", func(e *probe.Event) bool { return e.InnerDst.Is4() && e.InnerDst[15] == to })
		if e.Checkpoint != probe.A1 || e.Reason != reason || (e.Peer != 0) != (reason == probe.ReasonNone) || e.InnerLen != 29 {
			t.Errorf("to %d: %+v", to, e)
		}
	}

	wire, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 51820})
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	initiation := make([]byte, probe.LenInitiation)
	initiation[0], initiation[4] = probe.TypeInitiation, 77
	cut(t, wire, 0, initiation)
	for _, at := range []probe.Checkpoint{probe.A2, probe.B1} {
		if e := await(t, sub, at.String(), func(e *probe.Event) bool { return e.Checkpoint == at }); e.Sender != 77 ||
			s.Peers().Key(e.Peer) != peer || e.OuterSrcPort != 51820 || e.OuterDst.Netip() != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%s: %+v", at, e)
		}
	}
	var three []byte
	for counter := range uint64(3) {
		three = append(three, data(5, counter, 32)...)
	}
	cut(t, wire, 64, three)
	for counter := range uint64(3) {
		e := await(t, sub, "a data message", func(e *probe.Event) bool { return e.Seam == probe.SeamUDPSend && e.Counter == counter })
		if e.Kind != probe.KindData || e.Receiver != 5 || e.OuterLen != 64 {
			t.Errorf("message %d: %+v", counter, e)
		}
	}
	if n, err := s.Lost(); n != 0 || err != nil {
		t.Errorf("%d packets were not copied: %v", n, err)
	}
}

// cut sends a datagram to the socket itself, to be cut into pieces of a size.
func cut(t *testing.T, c *net.UDPConn, size uint16, b []byte) {
	t.Helper()
	var oob []byte
	if size > 0 {
		oob = make([]byte, unix.CmsgSpace(2))
		binary.NativeEndian.PutUint64(oob, uint64(unix.CmsgLen(2)))
		binary.NativeEndian.PutUint32(oob[8:], unix.SOL_UDP)
		binary.NativeEndian.PutUint32(oob[12:], unix.UDP_SEGMENT)
		binary.NativeEndian.PutUint16(oob[16:], size)
	}
	if _, _, err := c.WriteMsgUDP(b, oob, c.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
}

const possibleEnv = "WGNODE_KERNELWG_TEST_POSSIBLE"

// init makes the test binary a process that says what is possible.
func init() {
	if os.Getenv(possibleEnv) == "" {
		return
	}
	_, _, err := Start(Options{Device: 1, Port: 51820})
	os.Stdout.WriteString(err.Error())
	os.Exit(0)
}

// Who may not is told what is missing.
func TestNotAllowed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	c := exec.Command("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", os.Args[0])
	c.Env = append(os.Environ(), possibleEnv+"=1")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "level exact is not possible") ||
		!strings.Contains(string(out), "level half is not possible: the capabilities CAP_BPF") ||
		!strings.Contains(string(out), "level capture is not possible") || !strings.Contains(string(out), "CAP_NET_RAW is missing") {
		t.Errorf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}

// A host whose kernel has no WireGuard of its own says so, and what is possible.
func TestLess(t *testing.T) {
	opt := enter(t)
	level, why := Possible()
	if _, err := os.Stat("/sys/module/" + module); err == nil {
		t.Skip("this kernel has WireGuard")
	}
	if level == probe.LevelExact || !errors.Is(why, ErrModule) {
		t.Errorf("level %s: %v", level, why)
	}
	s, less, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Level() != level || !errors.Is(less, ErrModule) {
		t.Errorf("level %s, want %s: %v", s.Level(), level, less)
	}
	if _, err := Read("wg0"); !errors.Is(err, ErrNotKernel) {
		t.Errorf("a device that is not WireGuard's: %v", err)
	}
	if names, err := Names(); len(names) != 0 || err != nil {
		t.Errorf("devices %v: %v", names, err)
	}
	t.Log(less)
}
