//go:build linux

package sockets

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace moves the test to an empty network namespace, which vanishes with its thread,
// and runs commands there.
func inNamespace(t *testing.T, commands ...string) {
	t.Helper()
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	for _, c := range commands {
		args := strings.Fields(c)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
}

// A socket that was full is told by its port, one that was not, or another's, is not.
func TestFull(t *testing.T) {
	inNamespace(t, "ip link set lo up")
	full, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	port := uint16(full.LocalAddr().(*net.UDPAddr).Port)
	if err := full.SetReadBuffer(1); err != nil { // the kernel has a least
		t.Fatal(err)
	}
	if got, err := Full(port); err != nil || len(got) != 0 {
		t.Errorf("before: %q, %v", got, err)
	}
	c, err := net.Dial("udp4", full.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 64 {
		if _, err := c.Write(make([]byte, 900)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Full(port, port, 9); err != nil || len(got) != 1 || !strings.Contains(got[0], "have refused") {
		t.Errorf("%q, %v", got, err)
	}
}
