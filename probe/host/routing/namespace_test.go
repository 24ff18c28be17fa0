//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/patience"
)

var addr = netip.MustParseAddr

// ownNamespace moves the test to an empty network namespace, which vanishes with
// the test's thread, and gives ip(8) the commands there.
func ownNamespace(t testing.TB, commands ...string) {
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
	ip(t, append([]string{"link set lo up"}, commands...)...)
}

// ip runs commands of ip(8) in the test's namespace, those that begin with "-6"
// for that family.
func ip(t testing.TB, commands ...string) {
	t.Helper()
	for len(commands) > 0 {
		family := func(c string) bool { return strings.HasPrefix(c, "-6 ") }
		args, n := []string{"-batch", "-"}, 1
		if family(commands[0]) {
			args = append(args, "-6")
		}
		for n < len(commands) && family(commands[n]) == family(commands[0]) {
			n++
		}
		lines := ""
		for _, c := range commands[:n] {
			lines += strings.TrimPrefix(c, "-6 ") + "\n"
		}
		cmd := exec.Command("ip", args...)
		cmd.Stdin = strings.NewReader(lines)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s\n%s", args, err, out, lines)
		}
		commands = commands[n:]
	}
}

// sysctl sets a parameter of the test's namespace.
func sysctl(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

func take(t testing.TB) *Snapshot {
	t.Helper()
	s, err := Take(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verified walks, and fails the test unless the kernel agrees.
func verified(t testing.TB, s *Snapshot, f Flow) Walk {
	t.Helper()
	w := s.Walk(f)
	if err := s.Verify(&w); err != nil {
		t.Fatal(err)
	}
	if !w.Verified || w.Doubt != "" {
		t.Errorf("%s is not verified:\n%s", f, strings.Join(account(&w), "\n"))
	}
	return w
}

// settle waits until the kernel has noticed that the links have a carrier. It does
// so in its own time, and adds their IPv6 routes then.
func settle(t testing.TB, links ...string) {
	t.Helper()
	patience.Until(t, fmt.Sprintf("a carrier and routes of %v", links), func() bool { return settled(take(t), links) })
}

func settled(s *Snapshot, links []string) bool {
	for _, name := range links {
		for _, a := range s.Link(name).Addrs {
			if typ, _ := s.AddrType(a.Prefix.Addr()); typ != TypeLocal {
				return false
			}
		}
		for _, ipv6 := range []bool{false, true} {
			for _, r := range s.Routes(ipv6, Main) {
				if len(r.Hops) > 0 && r.Hops[0].Dev == name && r.Hops[0].LinkDown {
					return false
				}
			}
		}
	}
	return true
}
