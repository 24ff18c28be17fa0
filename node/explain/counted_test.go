//go:build linux

package explain

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/patience"
)

// dialFrom opens a socket in another network namespace, to which the link goes, and gives
// that an address.
func dialFrom(t *testing.T, link, addr, to string) net.Conn {
	t.Helper()
	type made struct {
		conn net.Conn
		err  error
	}
	thread, moved, opened := make(chan int, 1), make(chan struct{}), make(chan made, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			close(thread)
			return
		}
		thread <- unix.Gettid()
		<-moved
		for _, c := range []string{"address add " + addr + " dev " + link, "link set " + link + " up"} {
			if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
				opened <- made{err: fmt.Errorf("ip %s: %w: %s", c, err, out)}
				return
			}
		}
		c, err := net.Dial("udp4", to)
		opened <- made{c, err}
	}()
	id, ok := <-thread
	if !ok {
		t.Skip("needs network namespaces")
	}
	out, err := exec.Command("ip", "link", "set", link, "netns", fmt.Sprint(id)).CombinedOutput()
	close(moved)
	m := <-opened
	if err != nil || m.err != nil {
		t.Fatalf("move %s: %v, %v\n%s", link, err, m.err, out)
	}
	t.Cleanup(func() { m.conn.Close() })
	return m.conn
}

// initiation is one of a's to b, which has not arrived.
func initiation(t *testing.T, a, b *stackNode) []byte {
	t.Helper()
	in, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := a.tun.SetEndpoint(b.key.Public(), in.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		t.Fatal(err)
	}
	if err := a.Tunnel.InitiateHandshake(b.key.Public()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2*probe.LenInitiation)
	if err := in.SetReadDeadline(time.Now().Add(patience.Times(5 * time.Second))); err != nil {
		t.Fatal(err)
	}
	n, _, err := in.ReadFrom(buf)
	if err != nil || n != probe.LenInitiation {
		t.Fatalf("read an initiation: %d bytes, %v", n, err)
	}
	return buf[:n]
}

// IPsec can refuse what no policy of its own is about: by its default. The kernel's counter
// confirms it where it has counted exactly the packets that were followed: calls that pass
// the input hook and do not arrive.
func TestCountedByIPsec(t *testing.T) {
	ownNamespace(t, "link set lo up", "link add up0 type veth peer name far0", "link set up0 up", "address add 192.0.2.1/24 dev up0")
	if out, err := exec.Command("ip", "xfrm", "policy", "setdefault", "in", "block").CombinedOutput(); err != nil {
		t.Skipf("needs a default policy of IPsec (Linux 5.14): %v\n%s", err, out)
	}
	a, b := nodes(t, nil)
	call := initiation(t, a, b)
	s := b.Subject
	s.Interface, s.Kernel, s.Local = "wg0", true, nil
	far := dialFrom(t, "far0", "192.0.2.2/24", fmt.Sprintf("192.0.2.1:%d", b.tun.ListenPort()))
	x, err := begin(t.Context(), s, Request{Target: web.Target, Passive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer x.session.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience.Times(5*time.Second))
	defer cancel()
	x.watchKernel(ctx)
	if b := x.facts.Kernel.Blind; b != "" {
		t.Skip(b)
	}
	const calls = 3
	for range calls {
		if _, err := far.Write(call); err != nil {
			t.Fatal(err)
		}
	}
	x.session.Run(ctx, x)
	v := x.judge()
	if v.Code != diagnose.UnderlayInputFirewall || v.Checkpoint != probe.B2 || !v.Certain {
		t.Errorf("%s at %v, certain %v: %s\n%q", v.Code, v.Checkpoint, v.Certain, v.Summary, v.Evidence)
	}
	want := "the kernel counted as many as were followed: XfrmInNoPols: 3 (from 0 to 3)"
	if !slices.Contains(evidence.Texts(v.Evidence), want) {
		t.Errorf("evidence %q lacks %q", v.Evidence, want)
	}
	if want := "ip xfrm policy setdefault in accept"; !slices.Contains(v.Fix.Lines(), want) {
		t.Errorf("fix %q lacks %q", v.Fix.Lines(), want)
	}
}
