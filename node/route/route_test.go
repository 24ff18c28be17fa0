//go:build linux

package route

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNamespace moves the test to an empty network namespace, which vanishes
// with the test's thread, and runs ip(8) commands there.
func ownNamespace(t *testing.T, commands ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", c, err, out)
		}
	}
}

func TestLookup(t *testing.T) {
	ownNamespace(t,
		"link set lo up",
		"link add up0 mtu 1480 type veth peer name far0",
		"link set up0 up",
		"address add 192.0.2.1/24 dev up0",
		"-6 address add fd00::1/64 dev up0 nodad",
		"route add 10.1.0.0/16 via 192.0.2.254 mtu 1400",
		"route add 10.2.0.0/16 via inet6 fd00::fe dev up0",
		"route add unreachable 10.3.0.0/16",
		"route add prohibit 10.4.0.0/16",
		"route add blackhole 10.5.0.0/16",
		"-6 route add fd01::/64 via fd00::fe",
		"-6 route add unreachable fd03::/64",
		"-6 route add prohibit fd04::/64",
		"-6 route add blackhole fd05::/64",
		"rule add fwmark 7 table 77",
		"route add 10.1.0.0/16 dev lo table 77",
		"-6 rule add fwmark 8 prohibit",
		"-6 route add fe80::/64 dev up0",
	)
	addr := netip.MustParseAddr
	for _, tc := range []struct {
		dst  string
		mark uint32
		want Result
		err  error
	}{
		{"192.0.2.7", 0, Result{Type: TypeUnicast, OifName: "up0", Src: addr("192.0.2.1"), LinkMTU: 1480, Table: 254}, nil},
		{"192.0.2.255", 0, Result{Type: TypeBroadcast, OifName: "up0", Src: addr("192.0.2.1"), LinkMTU: 1480, Table: 255}, nil},
		{"192.0.2.1", 0, Result{Type: TypeLocal, OifName: "lo", Src: addr("192.0.2.1"), LinkMTU: 65536, Table: 255}, nil},
		{"10.1.2.3", 0, Result{Type: TypeUnicast, OifName: "up0", Gateway: addr("192.0.2.254"), Src: addr("192.0.2.1"), RouteMTU: 1400, LinkMTU: 1480, Table: 254}, nil},
		{"::ffff:10.1.2.3", 0, Result{Type: TypeUnicast, OifName: "up0", Gateway: addr("192.0.2.254"), Src: addr("192.0.2.1"), RouteMTU: 1400, LinkMTU: 1480, Table: 254}, nil},
		{"10.1.2.3", 7, Result{Type: TypeUnicast, OifName: "lo", Src: addr("192.0.2.1"), LinkMTU: 65536, Table: 77}, nil},
		{"10.2.2.3", 0, Result{Type: TypeUnicast, OifName: "up0", Gateway: addr("fd00::fe"), Src: addr("192.0.2.1"), LinkMTU: 1480, Table: 254}, nil},
		{"10.3.2.3", 0, Result{}, ErrUnreachable},
		{"10.4.2.3", 0, Result{}, ErrProhibit},
		{"10.5.2.3", 0, Result{}, ErrBlackhole},
		{"10.6.2.3", 0, Result{}, ErrNoRoute},
		{"fd01::7", 0, Result{Type: TypeUnicast, OifName: "up0", Gateway: addr("fd00::fe"), Src: addr("fd00::1"), LinkMTU: 1480, Table: 254}, nil},
		{"fd01::7", 8, Result{}, ErrProhibit},
		{"fd03::7", 0, Result{}, ErrUnreachable},
		{"fd04::7", 0, Result{}, ErrProhibit},
		{"fd05::7", 0, Result{}, ErrBlackhole},
		{"fd06::7", 0, Result{}, ErrNoRoute},
	} {
		got, err := Lookup(addr(tc.dst), tc.mark)
		got.Oif = 0
		if !errors.Is(err, tc.err) || got != tc.want {
			t.Errorf("%s mark %d:\n got %+v, %v\nwant %+v, %v", tc.dst, tc.mark, got, err, tc.want, tc.err)
		}
	}
	if got, err := Lookup(addr("fe80::1%up0"), 0); err != nil || got.OifName != "up0" {
		t.Errorf("with a zone: %+v, %v", got, err)
	}
	if _, err := Lookup(addr("fe80::1%none"), 0); err == nil {
		t.Error("with the zone of no link: no error")
	}
}

func TestDefault(t *testing.T) {
	ownNamespace(t,
		"link add up0 mtu 1480 type veth peer name far0",
		"link set up0 up",
		"address add 192.0.2.1/24 dev up0",
	)
	if r, err := Default(); r != nil || err != nil {
		t.Errorf("without one: %+v, %v", r, err)
	}
	for _, c := range []string{"default via 192.0.2.3 metric 20", "default via 192.0.2.2 metric 10 mtu 1300", "0.0.0.0/1 via 192.0.2.4"} {
		if out, err := exec.Command("ip", append([]string{"route", "add"}, strings.Fields(c)...)...).CombinedOutput(); err != nil {
			t.Fatalf("ip route add %s: %v\n%s", c, err, out)
		}
	}
	r, err := Default()
	if err != nil || r == nil || r.Gateway != netip.MustParseAddr("192.0.2.2") || r.MTU() != 1300 || r.OifName != "up0" {
		t.Errorf("got %+v, %v", r, err)
	}
}
