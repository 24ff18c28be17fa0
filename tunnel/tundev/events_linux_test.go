package tundev_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/tunnel/tundev"
)

// TestEventsSayWhatTheKernelDoes brings an interface up and down, gives it
// another MTU and another name, moves it to another host, and deletes it.
func TestEventsSayWhatTheKernelDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("needs hosts; not with -short")
	}
	t.Parallel()
	l := lab.New(t)
	a, b := l.Host("A"), l.Host("B")
	var dev tun.Device
	if err := a.Do(func() (err error) {
		dev, err = tundev.Create("wg0", 1420)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	expect := func(want tun.Event) {
		t.Helper()
		select {
		case e, ok := <-dev.Events():
			if !ok || e != want {
				t.Fatalf("event %v (%v), want %v", e, ok, want)
			}
		case <-patience.After():
			t.Fatalf("no event %v", want)
		}
	}
	// What a super packet becomes is to fit one datagram: 45 of 1452 bytes, 7 of 9032.
	segments := func(want string) {
		t.Helper()
		if out := a.Run("ip", "-d", "link", "show", "wg0"); !strings.Contains(out, " gso_max_segs "+want+" ") {
			t.Errorf("want super packets of %s segments:\n%s", want, out)
		}
	}
	segments("45")
	a.Run("ip", "link", "set", "wg0", "up")
	expect(tun.EventUp)
	a.Run("ip", "link", "set", "wg0", "mtu", "9000")
	expect(tun.EventMTUUpdate)
	segments("7")
	if mtu, err := dev.MTU(); mtu != 9000 || err != nil {
		t.Errorf("MTU %d, %v", mtu, err)
	}
	a.Run("ip", "link", "set", "wg0", "down")
	expect(tun.EventDown)
	a.Run("ip", "link", "set", "wg0", "name", "wg9")
	if name, err := dev.Name(); name != "wg9" || err != nil {
		t.Errorf("name %q, %v", name, err)
	}
	// The machine's process numbers mean nothing inside of a host.
	lab.Need(t, "nsenter")
	move := exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", a.Pid()), "ip", "link", "set", "wg9", "netns", fmt.Sprint(b.Pid()))
	if out, err := move.CombinedOutput(); err != nil {
		t.Fatalf("move: %v\n%s", err, out)
	}
	a.Run("ip", "tuntap", "add", "wg9", "mode", "tun") // a stranger of that name
	a.Run("ip", "link", "set", "wg9", "mtu", "1000")
	b.Run("ip", "link", "set", "wg9", "up")
	expect(tun.EventUp)
	if mtu, err := dev.MTU(); mtu != 9000 || err != nil {
		t.Errorf("MTU %d, %v", mtu, err)
	}
	b.Run("ip", "link", "delete", "wg9")
	if _, err := dev.Read([][]byte{make([]byte, 2000)}, make([]int, 1), 16); err != os.ErrClosed {
		t.Errorf("read from a deleted interface: %v", err)
	}
}

// TestWriteToAnInterfaceThatIsDown: the kernel's refusal is the error, and once
// the interface is up the same packets are taken.
func TestWriteToAnInterfaceThatIsDown(t *testing.T) {
	if testing.Short() {
		t.Skip("needs hosts; not with -short")
	}
	t.Parallel()
	h := lab.New(t).Host("A")
	var dev tun.Device
	if err := h.Do(func() (err error) {
		dev, err = tundev.Create("wg0", 1420)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	gen := tundev.NewTraffic(1, 1420, false)
	var bufs [][]byte
	for range 64 {
		_, pkts := gen.Message()
		for _, p := range pkts {
			bufs = append(bufs, append(make([]byte, 16), p...))
		}
	}
	if n, err := dev.Write(bufs, 16); n != 0 || !errors.Is(err, unix.EIO) {
		t.Errorf("down: %d of %d packets, %v", n, len(bufs), err)
	}
	h.Run("ip", "link", "set", "wg0", "up")
	if n, err := dev.Write(bufs, 16); n != len(bufs) || err != nil {
		t.Errorf("up: %d of %d packets, %v", n, len(bufs), err)
	}
	if _, err := dev.Write(bufs, 4); err == nil {
		t.Error("no room for a header: no error")
	}
	dev.Close()
	if _, err := dev.Write(bufs, 16); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
