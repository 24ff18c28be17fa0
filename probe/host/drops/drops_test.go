//go:build linux

package drops

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/patience"
)

// closedPort selects datagrams to a port that is closed, which the kernel drops.
var closedPort = Match{Proto: unix.IPPROTO_UDP, Dst: netip.MustParsePrefix("127.0.0.9/32"), DstPort: 999}

// watch begins to watch in an empty network namespace.
func watch(t *testing.T, matches ...Match) *Watcher {
	t.Helper()
	return watchFor(t, Options{Namespace: enter(t), Matches: matches})
}

// enter enters an empty network namespace, which vanishes with the thread, and returns its
// inode number.
func enter(t testing.TB) uint32 {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	return uint32(st.Ino)
}

func watchFor(t *testing.T, opt Options) *Watcher {
	t.Helper()
	w, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.SetDeadline(patience.Deadline())
	return w
}

// send sends datagrams from the thread's namespace.
func send(t *testing.T, to, payload string, n int) {
	t.Helper()
	c, err := net.ListenPacket("udp", "") // not connected: it does not hear that the port is closed
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range n {
		if _, err := c.WriteTo([]byte(payload), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))); err != nil {
			t.Fatal(err)
		}
	}
}

// What is selected is reported with reason and place, and nothing else is, nor what the
// packet carries.
func TestReports(t *testing.T) {
	w := watch(t, closedPort)
	send(t, "127.0.0.9:998", "not asked for", 1)
	send(t, "127.0.0.9:999", "a secret", 1)
	d, err := w.Read()
	if err != nil {
		t.Fatal(err)
	}
	if d.Reason != "NO_SOCKET" || d.Place != "__udp4_lib_rcv" || d.Hook() != "input" || d.Proves() || d.Length != 28+len("a secret") {
		t.Errorf("%s in %s at %s, %d bytes", d.Reason, d.Place, d.Hook(), d.Length)
	}
	if port := int(d.Header[22])<<8 | int(d.Header[23]); port != 999 {
		t.Errorf("port %d was dropped", port)
	}
	if !bytes.Equal(d.Header[28:], make([]byte, HeaderLen-28)) {
		t.Errorf("there is more than headers: %q", d.Header[28:])
	}
}

func TestReportsIPv6(t *testing.T) {
	w := watch(t, closedPort, Match{Proto: unix.IPPROTO_UDP, Src: netip.MustParsePrefix("::1/128"), DstPort: 999})
	send(t, "[::1]:999", "", 1)
	d, err := w.Read()
	if err != nil {
		t.Fatal(err)
	}
	if d.Place != "__udp6_lib_rcv" || d.Header[0]>>4 != 6 {
		t.Errorf("%s in %s", d.Reason, d.Place)
	}
}

// In a flood few are reported, all are counted, and so is what was not reported.
func TestFlood(t *testing.T) {
	const many = 5000
	w := watch(t, closedPort)
	send(t, "127.0.0.9:999", "", many)
	patience.See(t, fmt.Sprintf("%d drops counted", many), func() (string, bool) {
		places, err := w.Places()
		return fmt.Sprintf("%v, %v", places, err), places[Place{Reason: "NO_SOCKET", Name: "__udp4_lib_rcv", Device: 1}] == many
	})
	if lost, err := w.Lost(); lost != 0 || err != nil {
		t.Errorf("%d reports lost: %v", lost, err)
	}
	unreported, err := w.Unreported()
	if err != nil {
		t.Fatal(err)
	}
	for range many - unreported[Place{Reason: "NO_SOCKET", Name: "__udp4_lib_rcv", Device: 1}] {
		if _, err := w.Read(); err != nil {
			t.Fatalf("of %d, %v are said not to be reported: %v", many, unreported, err)
		}
	}
}

const holdEnv = "WGNODE_DROPS_TEST_HOLD"

// init makes the test binary a process that watches until it is killed, or that says whether
// it could.
func init() {
	switch os.Getenv(holdEnv) {
	case "watch":
		w, err := Start(Options{Matches: []Match{closedPort}})
		if err == nil {
			var info *ebpf.ProgramInfo
			if info, err = w.maps.Programs["kfree_skb"].Info(); err == nil {
				id, _ := info.ID()
				fmt.Println(id)
			}
		}
		if err != nil {
			fmt.Println(err)
		}
		// Standard input ends with the test, if it does not kill us.
		_, _ = io.Copy(io.Discard, os.Stdin)
		runtime.KeepAlive(w)
		os.Exit(0)
	case "available":
		fmt.Println(Available())
		os.Exit(0)
	}
}

func holder(how string, before ...string) *exec.Cmd {
	args := append(before, "/proc/self/exe")
	c := exec.Command(args[0], args[1:]...)
	if len(before) > 0 {
		c.Args[len(c.Args)-1] = os.Args[0]
	}
	c.Env = append(os.Environ(), holdEnv+"="+how)
	return c
}

// Nothing is left of a process that was killed.
func TestGoneWhenKilled(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: loads a BPF program")
	}
	for range 5 {
		c := holder("watch")
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var id ebpf.ProgramID
		if _, err := fmt.Fscan(out, &id); err != nil {
			t.Fatal(err)
		}
		if p, err := ebpf.NewProgramFromID(id); err != nil {
			t.Errorf("program %d is not there: %v", id, err)
		} else {
			_ = p.Close()
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // it was killed
		patience.See(t, fmt.Sprintf("no program %d", id), func() (string, bool) {
			p, err := ebpf.NewProgramFromID(id)
			if err == nil {
				_ = p.Close()
			}
			return fmt.Sprint(err), errors.Is(err, os.ErrNotExist)
		})
	}
}

// An ordinary user is told what is missing.
func TestNotAllowed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	out, err := holder("available", "setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN") {
		t.Errorf("%v: %q", err, out)
	}
}

// Not more of a packet is kept than says what and whose it is.
func TestKept(t *testing.T) {
	four := func(proto byte, more ...byte) []byte {
		b := make([]byte, HeaderLen)
		b[0], b[9] = 0x45, proto
		copy(b[20:], more)
		return b
	}
	six := func(proto byte, more ...byte) []byte {
		b := make([]byte, HeaderLen)
		b[0], b[6] = 0x60, proto
		copy(b[40:], more)
		return b
	}
	later := four(unix.IPPROTO_UDP)
	later[7] = 1
	for _, test := range []struct {
		name   string
		packet []byte
		want   int
	}{
		{"UDP", four(unix.IPPROTO_UDP), 28},
		{"WireGuard's data", four(unix.IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0), 28 + 16},
		{"looks like it", four(unix.IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0), 28},
		{"WireGuard's data, IPv6", six(unix.IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0), 64},
		{"TCP", four(unix.IPPROTO_TCP), 40},
		{"TCP, IPv6", six(unix.IPPROTO_TCP), 60},
		{"later fragment", later, 20},
		{"echo", four(unix.IPPROTO_ICMP, 8), 28},
		{"ICMP error", four(unix.IPPROTO_ICMP, 3), 64},
		{"ICMPv6 error", six(unix.IPPROTO_ICMPV6, 1), 64},
	} {
		if got := kept(test.packet); got != test.want {
			t.Errorf("%s: %d bytes, want %d", test.name, got, test.want)
		}
	}
}

// The reasons that healthy connections have prove nothing, and are noise; the same reason
// elsewhere may prove something.
func TestProof(t *testing.T) {
	const proves, noise, usual, hint = "proves", "noise", "usual", "hint"
	for _, test := range []struct{ reason, place, want string }{
		{"NETFILTER_DROP", "nf_hook_slow", proves},
		{"NETFILTER_DROP", "elsewhere", hint},
		{"SOCKET_FILTER", "udp_queue_rcv_one_skb", proves},
		{"SOCKET_FILTER", "raw_rcv", noise},
		{"NO_SOCKET", "ping_rcv", noise},
		{"NO_SOCKET", "__udp4_lib_rcv", hint},
		{"NOT_SPECIFIED", "ip6_mc_input", noise},
		{"NOT_SPECIFIED", "tcp_v6_rcv", noise}, // in TIME_WAIT
		{"NOT_SPECIFIED", "tcp_rcv_state_process", noise},
		{"NOT_SPECIFIED", "do_xdp_generic", proves},
		{"NOT_SPECIFIED", "inet_rtm_getroute", noise},
		{"NOT_SPECIFIED", "ip_error", proves},
		{"IP_INHDR", "ip_forward", proves},
		{"IP_INHDR", "ip_rcv_core", hint},
		{"NEIGH_FAILED", "neigh_invalidate", proves},
		{"TCP_OLD_DATA", "anywhere", noise},
		{"TCP_OFOMERGE", "tcp_data_queue_ofo", noise},
		{"TCP_RFC7323_PAWS_ACK", "tcp_validate_incoming", noise},
		{"TCP_RFC7323_PAWS", "tcp_validate_incoming", usual},
		{"TCP_RFC7323_TW_PAWS", "tcp_v4_rcv", usual},
		{"TCP_INVALID_SYN", "tcp_validate_incoming", usual},
		{"TCP_INVALID_SEQUENCE", "tcp_validate_incoming", usual},
		{"TCP_INVALID_ACK_SEQUENCE", "tcp_rcv_state_process", usual},
		{"TCP_TOO_OLD_ACK", "tcp_rcv_established", usual},
		{"TCP_RESET", "tcp_validate_incoming", usual},
		{"TCP_ZEROWINDOW", "tcp_data_queue", usual},
		{"TCP_LISTEN_OVERFLOW", "tcp_v4_rcv", hint}, // the server is overloaded
		{"TCP_MD5FAILURE", "tcp_v4_rcv", hint},
		{"TCP_MINTTL", "tcp_v4_rcv", hint},
		{"SOCKET_BACKLOG", "tcp_add_backlog", hint},
	} {
		d, got := &Drop{Reason: test.reason, Place: test.place}, hint
		switch {
		case d.Proves():
			got = proves
		case d.Noise():
			got = noise
		case d.Usual():
			got = usual
		}
		if got != test.want || d.Proves() && (d.Noise() || d.Usual()) {
			t.Errorf("%s in %s: %s, want %s", test.reason, test.place, got, test.want)
		}
	}
}

// A closed port refuses what begins a connection; everything else is late.
func TestUsualWithoutSocket(t *testing.T) {
	const syn, ack, rst = 0x02, 0x10, 0x04
	for flags, usual := range map[byte]bool{syn: false, syn | ack: true, ack: true, rst: true} {
		four, six := Drop{Reason: "NO_SOCKET", Place: "tcp_v4_rcv"}, Drop{Reason: "NO_SOCKET", Place: "tcp_v6_rcv"}
		four.Header[0], four.Header[20+13] = 0x45, flags
		six.Header[0], six.Header[40+13] = 0x60, flags
		if four.Usual() != usual || six.Usual() != usual {
			t.Errorf("flags %#x: %v %v", flags, four.Usual(), six.Usual())
		}
	}
}

// What TCP drops of another host's packets is not reported either, though it has taken the device
// off them.
func TestReportsNoOther(t *testing.T) {
	w := watch(t, Match{Proto: unix.IPPROTO_TCP, Dst: netip.MustParsePrefix("127.0.0.9/32")})
	if !w.layout.receiver {
		t.Skip("this kernel does not tell which socket was to receive a packet")
	}
	enter(t)
	l, err := net.Listen("tcp", "127.0.0.9:999")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", "127.0.0.9:999")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The acknowledgment of what is sent over a connection that is half closed is dropped, once it
	// is taken in.
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, s)
	if _, err := s.Write(make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	if d, err := w.Read(); !errors.Is(err, ErrSynced) {
		t.Errorf("%v: %+v", err, d)
	}
}
