package setup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/key"
)

// A client's file holds its private key, which nobody else needs. Only who asks for it has
// a copy stay here: in a folder beside the server's file that is its owner's alone.

// keepable is what can be the name of a file in any shell and on any phone.
var keepable = regexp.MustCompile(`^[A-Za-z0-9_=+][A-Za-z0-9_=+.-]{0,63}$`)

// NameError says that the file of a peer of that name cannot be kept.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("%q cannot be the name of a file that is kept: want letters, digits and _=+.-", config.Redact(e.Name))
}

// KeptPath is where the file of a client is kept, beside that of its server.
func KeptPath(server, name string) string {
	return filepath.Join(strings.TrimSuffix(server, filepath.Ext(server))+".peers", name+".conf")
}

// Keep keeps the file of a client.
func Keep(server, name string, client *config.Config) error {
	if !keepable.MatchString(name) {
		return &NameError{name}
	}
	path := KeptPath(server, name)
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep the file of %s: %w", name, err)
	}
	return client.WriteFile(path, false)
}

// Forget removes the file of a client, if there is one, and the folder after the last one.
func Forget(server, name string) error {
	if !keepable.MatchString(name) {
		return nil
	}
	path := KeptPath(server, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the file of %s: %w", name, err)
	}
	_ = os.Remove(filepath.Dir(path)) // there are others in it, or there is none
	return nil
}

// ErrNotKept says that the file of a client is not here.
var ErrNotKept = errors.New("its file was not kept here")

// Kept returns the file of a client, which must be for the peer of that key. The error wraps
// [ErrNotKept] if there is none.
func Kept(server, name string, public key.Public) (*config.Config, error) {
	path := KeptPath(server, name)
	if _, err := os.Lstat(path); !keepable.MatchString(name) || errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotKept
	}
	// Its name need not be that of an interface.
	f, err := safefile.Open(path, safefile.Mine())
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written: its error says nothing
	c, err := config.Parse(io.LimitReader(f, 1<<20), path)
	if err != nil {
		return nil, err
	}
	if c.Interface.PrivateKey.IsZero() || c.Interface.PrivateKey.Public() != public {
		return nil, fmt.Errorf("%w: %s is of another key", ErrNotKept, path)
	}
	return c, nil
}

// Locked does f while no other process does it for a file in the same folder: of two that
// each add a peer at the same time neither is to take the other's address, or be lost.
func Locked(path string, f func() error) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	defer d.Close() // which unlocks
	if err := safefile.Lock(d); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	return f()
}
