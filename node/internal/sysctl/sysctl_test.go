//go:build linux

package sysctl

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadWrite(t *testing.T) {
	if v, err := Read("kernel.ostype"); v != "Linux" || err != nil {
		t.Errorf("kernel.ostype is %q, %v", v, err)
	}
	if _, err := Read("net.no.such"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a parameter that is not there: %v", err)
	}
	if err := Writable("net.no.such"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a parameter that is not there: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	const name = "net.ipv4.conf.all.src_valid_mark"
	if err := Writable(name); err != nil {
		t.Skip(err)
	}
	for _, want := range []string{"1", "0"} {
		if err := Write(name, want); err != nil {
			t.Error(err)
		}
		if got, err := Read(name); got != want || err != nil {
			t.Errorf("got %q, %v; want %s", got, err, want)
		}
	}
	if err := Write(name, "nonsense"); !errors.Is(err, unix.EINVAL) {
		t.Errorf("nonsense: %v", err)
	}
}

// The names of interfaces may hold dots, as those of VLANs do.
func TestNames(t *testing.T) {
	for want, parts := range map[string][]string{
		"/proc/sys/net/ipv6/conf/eth0/accept_ra":     {"net", "ipv6", "conf", "eth0", "accept_ra"},
		"/proc/sys/net/ipv6/conf/eth0.100/accept_ra": {"net", "ipv6", "conf", "eth0.100", "accept_ra"},
	} {
		if got := path(Name(parts...)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
