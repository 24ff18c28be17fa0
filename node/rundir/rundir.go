// Package rundir is the folder in which each node has its journal and its control socket: where it
// is, whom it may belong to, its lock, and how a socket in it is opened and connected to. A folder,
// a file or a process of another user's is not believed.
package rundir

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/unixsocket"
)

// Default is the default folder of journals and control sockets: /run/wgnode for
// root (/var/run/wgnode where there is no /run), else a folder of the user's own.
func Default() string {
	if os.Geteuid() == 0 {
		return plan.Dir
	}
	return own()
}

// Journal is the path of the journal of a name in the folder dir.
func Journal(dir, name string) string { return filepath.Join(dir, name+".json") }

// Socket is the path of the control socket of a name in the folder dir.
func Socket(dir, name string) string { return filepath.Join(dir, name+".sock") }

// Check makes sure that nobody but root and this user can have put anything
// into a run folder, before anything there is believed: a journal names hooks,
// and what serves a socket gives answers. One that is not there is good.
func Check(dir string) error {
	f, err := safefile.OpenFolder(dir, safefile.Self())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return f.Close()
}

// Lock makes the folder, if need be, and keeps other processes from starting
// nodes and removing the remains of dead ones until unlock is called.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	f, err := safefile.OpenFolder(dir, safefile.Self())
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	if err := safefile.Lock(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock run folder %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

// Listen opens the control socket, for this user alone.
func Listen(path string) (net.Listener, error) {
	l, err := unixsocket.Listen(path)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	return l, nil
}

// Journals returns the names that have a journal in a folder.
func Journals(dir string) ([]string, error) {
	if err := Check(dir); err != nil {
		return nil, fmt.Errorf("list journals: %w", err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list journals: %w", err)
	}
	var names []string
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); config.ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}
