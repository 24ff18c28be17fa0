//go:build linux

package rule

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNamespace moves the test to an empty network namespace, which vanishes
// with the test's thread.
func ownNamespace(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
}

func ip(t *testing.T, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// A rule is what ip(8) makes of the arguments that it prints, at the priority
// that the kernel would have chosen.
func TestAddIsWhatIPAdds(t *testing.T) {
	ownNamespace(t)
	for _, ipv6 := range []bool{false, true} {
		f := map[bool]string{false: "-4", true: "-6"}[ipv6]
		before := ip(t, f+" rule")
		add := func(r func(priority int) Rule) Rule {
			p, err := Next(ipv6)
			if err != nil {
				t.Fatal(err)
			}
			if err := Add(r(p)); err != nil {
				t.Fatal(err)
			}
			return r(p)
		}
		marked := add(func(p int) Rule { return Marked(ipv6, p, 51820, 51820) })
		suppress := add(func(p int) Rule { return Suppress(ipv6, p) })
		got := ip(t, f+" rule")
		if listed, err := ListMarked(ipv6); err != nil || !slices.Equal(listed, []Rule{marked}) {
			t.Errorf("listed %v, %v; want %v", listed, err, marked)
		}
		for _, r := range []Rule{marked, suppress} {
			if err := Delete(r); err != nil {
				t.Error(err)
			}
			if err := Delete(r); !errors.Is(err, unix.ENOENT) {
				t.Errorf("deleted again: %v", err)
			}
		}
		if after := ip(t, f+" rule"); after != before {
			t.Errorf("left:\n%s", after)
		}
		ip(t, f+" rule add not fwmark 51820 table 51820")
		ip(t, f+" rule add table main suppress_prefixlength 0")
		if want := ip(t, f+" rule"); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		ip(t, f+" rule delete "+marked.String())
		ip(t, f+" rule delete "+suppress.String())
	}
}

// An equal rule of another priority is somebody else's.
func TestDeleteLeavesEqualRules(t *testing.T) {
	ownNamespace(t)
	for _, r := range []Rule{Marked(false, 1000, 7, 7), Suppress(false, 1000)} {
		theirs := r
		theirs.Priority = 900
		for _, add := range []Rule{theirs, r} {
			if err := Add(add); err != nil {
				t.Fatal(err)
			}
		}
		if err := Delete(r); err != nil {
			t.Error(err)
		}
		if out := ip(t, "rule"); !strings.Contains(out, "900:") || strings.Contains(out, "1000:") {
			t.Errorf("left:\n%s", out)
		}
		if err := Delete(theirs); err != nil {
			t.Error(err)
		}
	}
}
