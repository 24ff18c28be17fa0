//go:build linux

package lab

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Lab is a set of hosts that live as long as one test. Its methods may be
// called only from the test's own goroutine, except where said otherwise.
type Lab struct {
	t testing.TB

	mu      sync.Mutex
	hosts   []*Host
	procs   []*Proc
	closers []io.Closer
}

// New returns an empty lab, which is torn down when the test ends: programs
// are killed, sockets closed, namespaces removed. If the test failed, the
// output of each program begun with [Host.Start] is logged first.
//
// It skips the test when hosts cannot be made here: that takes root and
// /dev/net/tun.
func New(t testing.TB) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("in short mode no hosts are made")
	}
	if os.Geteuid() != 0 {
		unavailable(t, "hosts in network namespaces need root")
	}
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		unavailable(t, fmt.Sprintf("no TUN devices here: %v", err))
	}
	tun.Close()

	l := &Lab{t: t}
	t.Cleanup(l.Close)
	return l
}

// Need skips the test unless all the programs are installed; with CI=true in
// the environment it fails the test instead.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			unavailable(t, fmt.Sprintf("%s is not installed", program))
		}
	}
}

// unavailable ends a test that cannot run on this machine. It does not return.
func unavailable(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s (CI=true: nothing may be skipped)", reason)
	}
	t.Skip(reason)
}

// onClose has c closed when the lab is torn down. Any goroutine may call it.
func (l *Lab) onClose(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, c)
}

// Close tears the lab down before the end of its test. It may be called more
// than once.
func (l *Lab) Close() {
	l.t.Helper()
	l.mu.Lock()
	hosts, procs, closers := l.hosts, l.procs, l.closers
	l.hosts, l.procs, l.closers = nil, nil, nil
	l.mu.Unlock()

	for _, c := range closers {
		// A test may have closed it already; the socket is gone either way.
		_ = c.Close()
	}
	// Killing a holder ends all that runs in its host, so none is awaited before
	// every one is killed.
	for _, h := range hosts {
		h.holder.kill()
	}
	for _, p := range procs {
		<-p.done
	}
	for _, h := range hosts {
		if err := h.holder.wait(); err != nil {
			l.t.Errorf("tear down host %s: %v", h.name, err)
		}
		h.spaces.close()
	}
	if !l.t.Failed() {
		return
	}
	for _, p := range procs {
		l.t.Logf("output of %s:\n%s", p, p.Output())
	}
}

// namespaces are open descriptors of a holder's namespaces. They keep the
// namespaces alive until closed.
type namespaces struct {
	net, mnt, pid, uts *os.File
}

func openNamespaces(pid int) (*namespaces, error) {
	var n namespaces
	for _, s := range []struct {
		name string
		file **os.File
	}{{"net", &n.net}, {"mnt", &n.mnt}, {"pid", &n.pid}, {"uts", &n.uts}} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, s.name))
		if err != nil {
			n.close()
			return nil, fmt.Errorf("open namespace: %w", err)
		}
		*s.file = f
	}
	return &n, nil
}

// close closes those that are open; (*os.File)(nil).Close is harmless.
func (n *namespaces) close() {
	for _, f := range []*os.File{n.net, n.mnt, n.pid, n.uts} {
		_ = f.Close()
	}
}

// enter moves the calling thread into the namespaces. The PID namespace is
// entered by the thread's future children only. The thread must be locked and
// must never serve another goroutine: see setns(2) and [Host.Do].
func (n *namespaces) enter() error {
	// A mount namespace cannot be entered by a thread that shares its root and
	// working directory with others, and entering it sets both to "/".
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("get working directory: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare filesystem attributes: %w", err)
	}
	for _, s := range []struct {
		file *os.File
		kind int
	}{
		{n.net, unix.CLONE_NEWNET},
		{n.uts, unix.CLONE_NEWUTS},
		{n.pid, unix.CLONE_NEWPID},
		{n.mnt, unix.CLONE_NEWNS},
	} {
		if err := unix.Setns(int(s.file.Fd()), s.kind); err != nil {
			return fmt.Errorf("enter namespace %s: %w", s.file.Name(), err)
		}
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("return to working directory %s: %w", dir, err)
	}
	return nil
}
