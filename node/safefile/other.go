//go:build !linux

package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens a regular file. Who can have written it is not known: as root the error
// is an [Untrusted]. Its name is then without links.
func Open(name string, _ Owners) (*os.File, error) {
	if AsRoot() {
		return nil, &Untrusted{Path: name, File: name, Why: Unknown}
	}
	return OpenAny(name)
}

// OpenAny opens a regular file that anybody may have written. Its name is then
// without links.
func OpenAny(name string) (*os.File, error) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(real)
	if err == nil && !info.Mode().IsRegular() { // to open a device may do something
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		return nil, err
	}
	return os.Open(real)
}

// IsNull reports whether a name leads to the null device.
func IsNull(name string) bool {
	info, err := os.Stat(name)
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && nullErr == nil && os.SameFile(info, null)
}

// Write makes write's output the content of a file, whole or not at all. A link that
// is there stays, and what it leads to is replaced. Options.Exactly is an error.
func Write(name string, o Options, write func(io.Writer) error) error {
	if err := put(name, o, write); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func put(name string, o Options, write func(io.Writer) error) (err error) {
	if o.Exactly != nil {
		return errors.ErrUnsupported
	}
	if real, err := filepath.EvalSymlinks(name); err == nil && !o.New {
		name = real
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".wgnode-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(f.Chmod(o.Mode.Perm()), write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if !o.New {
		return os.Rename(f.Name(), name)
	}
	// A link fails if the name is taken.
	if err := os.Link(f.Name(), name); err != nil {
		return err
	}
	return os.Remove(f.Name())
}
