//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Host is one machine of a lab. Methods without an error result end the test
// when they fail, and so belong to the test's goroutine; those with an error
// result, and [Host.Command], may be used from any goroutine.
type Host struct {
	lab    *Lab
	t      testing.TB
	name   string
	holder *holder
	spaces *namespaces
}

// Host adds a host to the lab. It has a loopback interface and no others: see
// [Lab.Link].
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	holder, err := startHolder(name)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			unavailable(l.t, "namespaces cannot be made here: "+err.Error())
		}
		l.t.Fatalf("make host %s: %v", name, err)
	}
	spaces, err := openNamespaces(holder.cmd.Process.Pid)
	if err != nil {
		holder.kill()
		l.t.Fatalf("make host %s: %v", name, errors.Join(err, holder.wait()))
	}
	h := &Host{lab: l, t: l.t, name: name, holder: holder, spaces: spaces}
	l.mu.Lock()
	l.hosts = append(l.hosts, h)
	l.mu.Unlock()
	return h
}

// With returns the same host, reporting to t: a subtest of the lab's test.
func (h *Host) With(t testing.TB) *Host {
	same := *h
	same.t = t
	return &same
}

// Name returns the name given to [Lab.Host], which is also its host name.
func (h *Host) Name() string { return h.name }

// Pid returns the process id, on the machine, of the process that holds the
// host: "nsenter -a -t PID" looks into a host while its test runs.
func (h *Host) Pid() int { return h.holder.cmd.Process.Pid }

// errExited is Do's result when its function ended the goroutine.
var errExited = errors.New("function did not return: FailNow, Fatal and Goexit must not be called inside a host")

// Do calls fn on a thread that has entered the host: sockets that fn opens
// belong to the host's network, files are opened as the host sees them, and
// processes that it starts run there. It returns fn's error.
//
// fn runs in a goroutine of its own. Goroutines started by fn run outside of
// the host, but may use what fn opened. The thread is thrown away afterwards.
func (h *Host) Do(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine.
		runtime.LockOSThread()
		err := errExited
		defer func() { result <- err }()
		if err = h.spaces.enter(); err != nil {
			return
		}
		err = errExited
		err = fn()
	}()
	return <-result
}

// do is Do for what the test cannot go on without.
func (h *Host) do(what string, fn func() error) {
	h.t.Helper()
	if err := h.Do(fn); err != nil {
		h.t.Fatalf("%s: %s: %v", h.name, what, err)
	}
}

// WriteFile writes a file as the host sees it, making missing directories.
// Paths under /run and /etc are the host's own; others are the machine's.
func (h *Host) WriteFile(path, content string, mode os.FileMode) {
	h.t.Helper()
	h.do("write file", func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(content), mode)
	})
}

// Mount mounts a file with this content over an existing one, as containers do
// with their /etc/resolv.conf: it can be written, but not renamed or replaced.
func (h *Host) Mount(path, content string, mode os.FileMode) {
	h.t.Helper()
	h.do("mount file", func() error {
		f, err := os.CreateTemp("/run", "lab-mount-")
		if err != nil {
			return err
		}
		_, err = f.WriteString(content)
		if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
			return err
		}
		if err := unix.Mount(f.Name(), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s on %s: %w", f.Name(), path, err)
		}
		return nil
	})
}

// ReadFile returns the content of a file as the host sees it.
func (h *Host) ReadFile(path string) string {
	h.t.Helper()
	var content []byte
	h.do("read file", func() (err error) {
		content, err = os.ReadFile(path)
		return err
	})
	return string(content)
}

// Sysctl sets a kernel parameter of the host's network, such as
// net.ipv4.ip_forward.
func (h *Host) Sysctl(name, value string) {
	h.t.Helper()
	h.do("sysctl", func() error { return writeSysctl(name, value) })
}
