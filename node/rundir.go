package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/safefile"
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

// checkDir makes sure that nobody but root and this user can have put anything
// into a run folder, before anything there is believed: a journal names hooks,
// and what serves a socket gives answers. One that is not there is good.
func checkDir(dir string) error {
	f, err := safefile.OpenFolder(dir, safefile.Self())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return f.Close()
}

// lockDir makes the folder, if need be, and keeps other processes from starting
// nodes and removing the remains of dead ones until unlock is called.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	f, err := safefile.OpenFolder(dir, safefile.Self())
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
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
	l, err := ListenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	return l, nil
}
