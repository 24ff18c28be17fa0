package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/plan"
)

// RunDir is the default folder of journals and control sockets: /run/wgnode for
// root, else a folder of the user's own.
func RunDir() string {
	if os.Geteuid() == 0 {
		return plan.Dir
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "wgnode")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("wgnode-%d", os.Geteuid()))
}

func journalPath(dir, name string) string { return filepath.Join(dir, name+".json") }
func socketPath(dir, name string) string  { return filepath.Join(dir, name+".sock") }

// lockDir makes the folder, if need be, and keeps other processes from starting
// nodes and removing the remains of dead ones until unlock is called.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open run folder: %w", err)
	}
	if info, err := f.Stat(); err != nil || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		_ = f.Close() // nothing was written
		return nil, errors.Join(fmt.Errorf("run folder %s is not this user's", dir), err)
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock run folder %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

// listenControl opens the control socket, for this user alone.
func listenControl(path string) (net.Listener, error) {
	l, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	return l, nil
}
