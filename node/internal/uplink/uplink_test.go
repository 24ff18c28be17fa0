//go:build linux

package uplink

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func ip(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", c, err, out)
		}
	}
}

func TestLook(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the namespace vanishes with the thread
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	look := func(mark uint32) State {
		t.Helper()
		s, err := Look([]netip.Addr{hub, hub6, hub}, mark)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := look(0); s.Default4 != (Way{}) || s.Default6 != (Way{}) || s.Ways[hub] != (Way{}) || len(s.Ways) != 2 {
		t.Errorf("on a host without a network: %+v", s)
	}
	ip(t,
		"link add eth0 type veth peer name far0", "link set far0 up", "link set eth0 up",
		"link add eth1 mtu 1400 type veth peer name far1", "link set far1 up", "link set eth1 up",
		"address add 10.9.1.2/24 dev eth0", "address add 10.9.3.2/24 dev eth1",
		"-6 address add fd00:9:1::2/64 dev eth0 nodad",
		"route add default via 10.9.1.1", "-6 route add default via fd00:9:1::1",
		"rule add fwmark 7 table 77", "route add default via 10.9.3.1 table 77",
	)
	narrow := eth1
	narrow.MTU = 1400
	was := look(0)
	if was.Ways[hub] != eth0 || was.Default4.Gateway != eth0.Gateway || was.Default6.Link != "eth0" ||
		was.Ways[hub6].Gateway.String() != "fd00:9:1::1" {
		t.Errorf("got %+v", was)
	}
	if got := look(7).Ways[hub]; got != narrow {
		t.Errorf("marked: %+v, want %+v", got, narrow)
	}
	if !Reachable(hub, 0) {
		t.Error("the hub is not reachable")
	}
	// Nobody announces that the IPv4 routes go with the link.
	ip(t, "link set eth0 down")
	is := look(0)
	d := Compare(was, is)
	if len(d.Changes) == 0 || d.Changes[0].Change.String() != "link-down" || is.Ways[hub] != (Way{}) || Reachable(hub, 0) {
		t.Errorf("got %+v", d)
	}
}
