package tundev_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

// refuseEnv names what the kernel shall refuse to the program that the
// arguments are.
const refuseEnv = "TUNDEV_TEST_REFUSE"

func TestMain(m *testing.M) {
	if what := os.Getenv(refuseEnv); what != "" {
		err := refuse(what)
		if err == nil {
			err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// refuse has the kernel refuse system calls as one that does not know them
// would (seccomp(2)): "readv", "writev" of more than one part, all "offloads", or
// those of "UDP".
func refuse(what string) error {
	const nr, arg1, arg2 = 0, 24, 32 // struct seccomp_data, little-endian
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	jump := func(op uint16, k uint32, t, f uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, K: k, Jt: t, Jf: f}
	}
	give := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	var filter []unix.SockFilter
	switch what {
	case "readv":
		filter = []unix.SockFilter{load(nr), jump(unix.BPF_JEQ, unix.SYS_READV, 1, 0), give(unix.SECCOMP_RET_ALLOW),
			give(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))}
	case "writev":
		filter = []unix.SockFilter{
			load(nr), jump(unix.BPF_JEQ, unix.SYS_WRITEV, 0, 2),
			load(arg2), jump(unix.BPF_JGT, 1, 1, 0),
			give(unix.SECCOMP_RET_ALLOW), give(unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)),
		}
	case "offloads", "UDP":
		mask := ^uint32(0)
		if what == "UDP" {
			mask = unix.TUN_F_USO4 | unix.TUN_F_USO6
		}
		filter = []unix.SockFilter{
			load(nr), jump(unix.BPF_JEQ, unix.SYS_IOCTL, 0, 4),
			load(arg1), jump(unix.BPF_JEQ, unix.TUNSETOFFLOAD, 0, 2),
			load(arg2), jump(unix.BPF_JSET, mask, 1, 0),
			give(unix.SECCOMP_RET_ALLOW), give(unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)),
		}
	default:
		return fmt.Errorf("refuse %q: not known", what)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const setModeFilter, allThreads = 1, 1
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, allThreads, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return fmt.Errorf("set seccomp filter: %w", errno)
	}
	return nil
}

// TestCarriesTraffic has nodes and wireguard-go's program carry TCP and UDP for
// one another, with and without what the kernel can do for them.
func TestCarriesTraffic(t *testing.T) {
	if testing.Short() {
		t.Skip("needs programs and hosts; not with -short")
	}
	wireguardGo := []string{lab.WireguardGo(t), "-f", "wg0"}
	wgnode := []string{lab.Wgnode(t), "device", "-f", "wg0"}
	for _, test := range []struct {
		name    string
		a, b    []string
		refuseA string
		plainA  bool // A's interface makes no super packets
		plainB  bool
		mtu     int
		logs    string // A's program says so
	}{
		{name: "node and wireguard-go", a: wgnode, b: wireguardGo, mtu: 1420},
		{name: "node and wireguard-go, IPv6's least MTU", a: wgnode, b: wireguardGo, mtu: 1280},
		{name: "node and wireguard-go, jumbo frames", a: wgnode, b: wireguardGo, mtu: 9000},
		{name: "node without offloads", a: wgnode, b: wireguardGo, plainA: true, mtu: 1420},
		{name: "wireguard-go without offloads", a: wgnode, b: wireguardGo, plainB: true, mtu: 9000},
		{name: "two nodes, none with offloads", a: wgnode, b: wgnode, plainA: true, plainB: true, mtu: 1280},
		{name: "no vectored reads", a: wgnode, b: wireguardGo, refuseA: "readv", mtu: 1420, logs: "slower path to the interface"},
		{name: "no joined writes", a: wgnode, b: wireguardGo, refuseA: "writev", mtu: 1420},
		{name: "no segments of UDP", a: wgnode, b: wgnode, refuseA: "UDP", mtu: 1420},
		{name: "no super packets", a: wgnode, b: wgnode, refuseA: "offloads", mtu: 1420},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := lab.New(t)
			a, b := l.Host("A"), l.Host("B")
			l.Link(a.End("eth0", "10.9.0.1/24"), b.End("eth0", "10.9.0.2/24"))
			for _, h := range []*lab.Host{a, b} {
				// wireguard-go cannot send what would have to be fragmented.
				h.Run("ip", "link", "set", "eth0", "mtu", "9200")
			}
			keyA, keyB := lab.NewKey(t), lab.NewKey(t)
			var p *lab.Proc
			if test.refuseA != "" {
				p = a.StartEnv([]string{refuseEnv + "=" + test.refuseA, "LOG_LEVEL=verbose"}, append([]string{os.Args[0]}, test.a...)...)
			} else {
				p = a.Start(test.a...)
			}
			a.AwaitUAPI(p, "wg0")
			b.AwaitUAPI(b.Start(test.b...), "wg0")
			// First who waits: a handshake that goes unanswered is repeated 5 s later.
			b.SetUpTunnel(lab.Tunnel{Name: "wg0", Addrs: []string{"10.7.0.2/24", "fd07::2/64"}, Conf: conf(keyB, keyA, "")})
			a.SetUpTunnel(lab.Tunnel{Name: "wg0", Addrs: []string{"10.7.0.1/24", "fd07::1/64"},
				Conf: conf(keyA, keyB, "Endpoint = 10.9.0.2:51820")})
			for h, plain := range map[*lab.Host]bool{a: test.plainA, b: test.plainB} {
				h.Run("ip", "link", "set", "wg0", "mtu", fmt.Sprint(test.mtu))
				if plain {
					if err := h.Do(func() error { return noOffloads("wg0") }); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, addr := range []string{"10.7.0.2", "fd07::2"} {
				carry(t, a, b, addr, test.mtu)
			}
			if !strings.Contains(p.Output(), test.logs) {
				t.Errorf("%q is not among:\n%s", test.logs, p.Output())
			}
		})
	}
}

func conf(own, peer lab.Key, more string) string {
	return fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\n"+
		"AllowedIPs = 0.0.0.0/0, ::/0\n%s\n", own.Private, peer.Public, more)
}

// noOffloads is `ethtool -K NAME tx off tso off gso off`.
func noOffloads(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const setTX, setTSO, setGSO = 0x17, 0x1f, 0x24 // ETHTOOL_STXCSUM and others, linux/ethtool.h
	for _, command := range []uint32{setTSO, setGSO, setTX} {
		value := [2]uint32{command, 0} // struct ethtool_value
		var req struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(req.name[:], name)
		req.data = unsafe.Pointer(&value)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return fmt.Errorf("ethtool command %#x: %w", command, errno)
		}
	}
	return nil
}

// carry moves data over TCP, both ways at once, and datagrams of all sizes there
// and back, and looks whether they are the same.
func carry(t *testing.T, a, b *lab.Host, addr string, mtu int) {
	t.Helper()
	ctx := patience.Context(t)
	at := net.JoinHostPort(addr, "5000")
	listener := b.Listen("tcp", at)
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	var both errgroup.Group
	both.Go(func() error {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		return exchange(c, 1, 2)
	})
	both.Go(func() error {
		c, err := a.Dial(ctx, "tcp", at)
		if err != nil {
			return err
		}
		return exchange(c, 2, 1)
	})
	if err := both.Wait(); err != nil {
		t.Fatalf("TCP with %s: %v", addr, err)
	}
	b.ServeEcho(at)
	c, err := a.Dial(ctx, "udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := datagrams(c, mtu); err != nil {
		t.Fatalf("UDP with %s: %v", addr, err)
	}
}

const transfer = 3 << 20

// exchange sends what the one seed makes, and expects what the other makes.
func exchange(c net.Conn, send, expect byte) error {
	defer c.Close()
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		return err
	}
	var both errgroup.Group
	both.Go(func() error {
		_, err := io.CopyN(c, rand.NewChaCha8([32]byte{send}), transfer)
		return err
	})
	both.Go(func() error {
		got, want := sha256.New(), sha256.New()
		if _, err := io.CopyN(got, c, transfer); err != nil {
			return err
		}
		if _, err := io.CopyN(want, rand.NewChaCha8([32]byte{expect}), transfer); err != nil {
			return err
		}
		if string(got.Sum(nil)) != string(want.Sum(nil)) {
			return errors.New("what came is not what was sent")
		}
		return nil
	})
	return both.Wait()
}

// datagrams has datagrams echoed, some at a time: equal ones of every size, the
// last of which needs fragments.
func datagrams(c net.Conn, mtu int) error {
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		return err
	}
	buf := make([]byte, 65535)
	for _, size := range []int{1, 64, 500, 1200, mtu - 48, mtu + 700} {
		together := min(16, 40000/size) // what a socket's buffer holds, bookkeeping included
		for i := range together {
			for k := range buf[:size] {
				buf[k] = byte(i + k*7 + size)
			}
			if _, err := c.Write(buf[:size]); err != nil {
				return err
			}
		}
		for i := range together {
			n, err := c.Read(buf)
			if err != nil {
				return fmt.Errorf("datagram %d of %d bytes: %w", i, size, err)
			}
			for k := range buf[:n] {
				if n != size || buf[k] != byte(i+k*7+size) {
					return fmt.Errorf("datagram %d of %d bytes came as %d others", i, size, n)
				}
			}
		}
	}
	return nil
}
