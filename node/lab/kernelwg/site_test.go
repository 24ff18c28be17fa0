//go:build linux

package kernelwg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/patience"
)

// site is two hosts on one cable, with a tunnel between them.
//
//	K eth0 ----------- eth0 P
//	192.0.2.1     192.0.2.2
//	10.7.0.1       10.7.0.2   wg0: K has the kernel's, P whichever the test is about
type site struct {
	*lab.Lab
	K, P       *lab.Host
	keyK, keyP lab.Key
}

func newSite(t testing.TB) *site {
	t.Helper()
	l := lab.New(t)
	s := &site{Lab: l, K: l.Host("k"), P: l.Host("p"), keyK: lab.NewKey(t), keyP: lab.NewKey(t)}
	l.Link(s.K.End("eth0", "192.0.2.1/24", "2001:db8::1/64"), s.P.End("eth0", "192.0.2.2/24", "2001:db8::2/64"))
	return s
}

// conf is the configuration of an end, for wg setconf.
func conf(own, peer lab.Key, endpoint, allowed string) string {
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\nAllowedIPs = %s\n",
		own.Private, peer.Public, allowed)
	if endpoint != "" {
		text += "Endpoint = " + endpoint + "\n"
	}
	return text
}

// kernel makes the kernel's WireGuard on a host, or skips the test where there is none.
func kernel(t testing.TB, h *lab.Host, tunnel lab.Tunnel) {
	t.Helper()
	err := h.Do(func() error {
		return netlink.LinkAdd(&netlink.Wireguard{LinkAttrs: netlink.LinkAttrs{Name: tunnel.Name}})
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this kernel has no WireGuard: make test-vm runs the test in a machine whose kernel has")
	}
	if err != nil {
		t.Fatal(err)
	}
	h.SetUpTunnel(tunnel)
}

// bothKernel brings the tunnel up with the kernel's WireGuard at both ends.
func (s *site) bothKernel(t testing.TB) {
	t.Helper()
	kernel(t, s.K, lab.Tunnel{Name: "wg0", Conf: conf(s.keyK, s.keyP, "192.0.2.2:51820", "10.7.0.2/32, fd07::2/128"),
		Addrs: []string{"10.7.0.1/24", "fd07::1/64"}})
	kernel(t, s.P, lab.Tunnel{Name: "wg0", Conf: conf(s.keyP, s.keyK, "", "10.7.0.1/32, fd07::1/128"),
		Addrs: []string{"10.7.0.2/24", "fd07::2/64"}})
}

// watched is a host's device that is watched.
type watched struct {
	kernelwg.Source
	rec *probe.Recorder
	sub *probe.Subscription
	all []probe.Event
}

// watch watches a host's wg0 at a level until the test ends.
func watch(t testing.TB, h *lab.Host, level probe.Level) *watched {
	t.Helper()
	w := begin(t, h, level)
	t.Cleanup(func() { w.end(t) })
	return w
}

// begin watches a host's wg0 at a level, until end is called.
func begin(t testing.TB, h *lab.Host, level probe.Level) *watched {
	t.Helper()
	rec, err := probe.NewRecorder(probe.DefaultRecorderBytes)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", h.Pid()), &st); err != nil {
		t.Fatal(err)
	}
	opt := kernelwg.Options{Recorder: rec, Namespace: uint32(st.Ino)}
	var w kernelwg.Source
	var d *kernelwg.Device
	err = inNetwork(h, func() (err error) {
		if d, err = kernelwg.Read("wg0"); err != nil {
			return err
		}
		opt.Device, opt.Port = d.Index, d.Port
		w, err = kernelwg.StartAt(level, opt)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Know(d)
	return &watched{Source: w, rec: rec, sub: rec.Subscribe(probe.SubscribeOptions{Past: true})}
}

func (w *watched) end(t testing.TB) {
	t.Helper()
	w.sub.Close()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// inNetwork runs a function in a host's network alone: a process that watches has its own /proc.
func inNetwork(h *lab.Host, fn func() error) error {
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.Pid()))
	if err != nil {
		return err
	}
	defer space.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// await waits for an event, and keeps all that come before it.
func (w *watched) await(t testing.TB, what string, match func(*probe.Event) bool) probe.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience.Limit())
	defer cancel()
	buf := make([]probe.Event, 256)
	for {
		n, err := w.sub.Read(ctx, buf)
		if err != nil {
			t.Fatalf("await %s: %v, after\n%s", what, err, w.text())
		}
		w.all = append(w.all, buf[:n]...)
		for i := range buf[:n] {
			if match(&buf[i]) {
				return buf[i]
			}
		}
	}
}

// text is the latest that has been seen, a line an event.
func (w *watched) text() string {
	var b strings.Builder
	latest := w.all[max(0, len(w.all)-60):]
	for i := range latest {
		e := &latest[i]
		src, dst := e.Inner()
		from, to := e.Outer()
		fmt.Fprintf(&b, "%s %s %s %s peer %d %v>%v %d, %v>%v %d index %x sender %x counter %d %s\n",
			e.Checkpoint, e.Seam, e.Kind, e.When().Format("05.000"), e.Peer, src, dst, e.InnerLen, from, to, e.OuterLen,
			e.Receiver, e.Sender, e.Counter, e.Reason)
	}
	return b.String()
}

// transfer sends n bytes from K to P through the tunnel, and waits until all of them have come.
func (s *site) transfer(t testing.TB, addr string, n int64) {
	t.Helper()
	l := s.P.Listen("tcp", addr)
	defer l.Close()
	got := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- err
			return
		}
		defer c.Close()
		have, err := io.Copy(io.Discard, c)
		if err == nil && have != n {
			err = fmt.Errorf("%d bytes have come, of %d", have, n)
		}
		got <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience.Limit())
	defer cancel()
	c, err := s.K.Dial(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(c, zeros{}, n); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
