//go:build linux

package plan

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/config"
)

// ownNamespace moves the test to an empty network namespace, which vanishes
// with the test's thread. Commands that it starts are there too. Subtests are
// not: they run on other threads.
func ownNamespace(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("in short mode no namespaces are made")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	run(t, "ip link set lo up")
}

// run runs a command and returns what it prints, with runs of spaces as one.
func run(t *testing.T, command string) string {
	t.Helper()
	args := strings.Fields(command)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

// tun is a device that is only its link: a TUN device that nobody serves.
type tun struct{ t *testing.T }

func (d tun) Create(_ context.Context, name string) error {
	run(d.t, "ip tuntap add mode tun dev "+name)
	return nil
}
func (tun) Configure(context.Context, uint32) error { return nil }

// The steps must do what they print: the namespace looks the same as one in
// which ip(8) has run the printed commands.
func TestSystemDoesWhatItPrints(t *testing.T) {
	ownNamespace(t)
	look := func() string {
		addresses := run(t, "ip -o address show dev wg0")
		addresses = regexp.MustCompile(`(?m)^\d+: `).ReplaceAllString(addresses, "") // the index differs
		all := addresses + run(t, "ip -d route show table all dev wg0") + run(t, "ip -d -6 route show table all dev wg0")
		// Without a carrier it is chance whether the kernel holds an IPv6
		// address for tentative, and has no local route for it then.
		return regexp.MustCompile(`(?m) tentative|^local [0-9a-f:]+ table.*\n`).ReplaceAllString(all, "")
	}
	cfg := conf(t, "MTU = 1380\nAddress = 10.0.0.1/24, 10.0.5.1/30, 10.0.9.1, fd00::1/64, fd01::1",
		"AllowedIPs = 10.0.0.0/24, 10.1.0.0/16, 10.0.9.1, 192.0.2.7, fd00::/64, fd02::/48, fd02::1, fd01::1")
	before := run(t, "ip address") + run(t, "ip route show table all")
	host, err := Gather(&config.Config{Name: "wg0"}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if host.NoIPv6 != "" {
		t.Skipf("needs IPv6: %s", host.NoIPv6)
	}
	steps, err := Build(cfg, host)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := Runner{Kernel: System{}, Device: tun{t}, Out: &out}
	path := filepath.Join(t.TempDir(), "wg0.json")
	j, err := CreateJournal(path, "wg0", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(t.Context(), steps, j); err != nil {
		t.Fatal(err)
	}
	got := look()
	if host, err = Gather(&config.Config{Name: "wg0"}, nil, 0); err != nil || !host.LinkExists {
		t.Errorf("Gather now: %+v, %v; want that the link exists", host, err)
	}

	printed := out.String()
	if j, err = OpenJournal(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Undo(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if after := run(t, "ip address") + run(t, "ip route show table all"); after != before {
		t.Errorf("undone it leaves\n%s\nwant\n%s", after, before)
	}

	run(t, "ip tuntap add mode tun dev wg0")
	for line := range strings.Lines(printed) {
		command := strings.TrimPrefix(line, "[#] ")
		if strings.HasPrefix(command, "ip -") || strings.HasPrefix(command, "ip link set") {
			run(t, command)
		}
	}
	if want := look(); got != want {
		t.Errorf("got\n%s\nip(8) makes\n%s", got, want)
	}
	if !strings.Contains(got, "10.1.0.0/16") || !strings.Contains(got, "fd02::/48") {
		t.Errorf("routes are missing:\n%s", got)
	}
}

// wg-quick asks the kernel for the routes that it need not add; Build works
// them out. They must agree.
func TestConnectedRoutesAreTheKernels(t *testing.T) {
	ownNamespace(t)
	run(t, "ip tuntap add mode tun dev wg0")
	for _, a := range []string{"10.0.0.1/24", "10.0.1.1/32", "10.0.2.1/31", "10.0.3.5/30", "0.1.2.3/8", "10.9.9.9/0",
		"fd00::1/64", "fd01::1/128", "fd02::5/127"} {
		prefix := netip.MustParsePrefix(a)
		run(t, "ip address add "+a+" dev wg0")
		run(t, "ip link set up dev wg0")
		got, ok := connected(prefix)
		match := prefix.Masked()
		listed := run(t, "ip "+family(prefix)+" route show dev wg0 match "+match.String())
		if ok != (strings.TrimSpace(listed) != "") || ok && got != match {
			t.Errorf("%s: connected says %v %v, the kernel %q", a, got, ok, listed)
		}
		run(t, "ip address del "+a+" dev wg0")
	}
}

// A route that cannot be added takes everything down again.
func TestSystemFailsHalfWay(t *testing.T) {
	ownNamespace(t)
	run(t, "ip link add other type veth peer name far")
	run(t, "ip link set other up")
	run(t, "ip route add 10.1.0.0/16 dev other")
	before := run(t, "ip address") + run(t, "ip route show table all")
	steps, err := Build(conf(t, "Address = 10.0.0.1/24", "AllowedIPs = 10.1.0.0/16, 10.2.0.0/16"), State{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	j, err := CreateJournal(filepath.Join(dir, "wg0.json"), "wg0", "")
	if err != nil {
		t.Fatal(err)
	}
	err = (&Runner{Kernel: System{}, Device: tun{t}}).Apply(t.Context(), steps, j)
	if err == nil || err.Error() != "add route 10.1.0.0/16 dev wg0: the route already exists (dev other proto boot)" {
		t.Errorf("got %v", err)
	}
	if after := run(t, "ip address") + run(t, "ip route show table all"); after != before {
		t.Errorf("it leaves\n%s\nwant\n%s", after, before)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestGather(t *testing.T) {
	ownNamespace(t)
	run(t, "ip link add up0 mtu 1480 type veth peer name far0")
	run(t, "ip link add up1 mtu 9000 type veth peer name far1")
	for _, command := range []string{
		"ip address add 192.0.2.1/24 dev up0", "ip link set up0 up",
		"ip address add 198.51.100.1/24 dev up1", "ip link set up1 up",
		"ip route add default via 192.0.2.254 metric 20 mtu 1300",
		"ip route add default via 198.51.100.254 metric 10",
		"ip route add 203.0.113.0/24 via 192.0.2.254 mtu 1400",
		"ip route add unreachable 203.0.113.9",
	} {
		run(t, command)
	}
	s, err := Gather(&config.Config{Name: "wg0"}, []netip.Addr{
		netip.MustParseAddr("203.0.113.1"), // the route's own MTU
		netip.MustParseAddr("192.0.2.7"),   // the link's
		netip.MustParseAddr("203.0.113.9"), // no way
		netip.MustParseAddr("fe80::1%up0"), // as wg-quick, left out
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.NoIPv6 = ""
	want := State{EndpointMTUs: []int{1400, 1480}, DefaultMTU: 9000}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}

	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil {
		t.Skipf("cannot disable IPv6 here: %v", err)
	}
	if s, err = Gather(&config.Config{Name: "wg0"}, nil, 0); err != nil ||
		s.NoIPv6 != "IPv6 is disabled (net.ipv6.conf.default.disable_ipv6)" {
		t.Errorf("without IPv6: %+v, %v", s, err)
	}
}
