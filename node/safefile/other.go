//go:build !linux

package safefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens a regular file that only the owners can have written, as far as that is checked
// here: see doubt. Its name is then without links. The error is an [Untrusted] if others own
// the file, or can write it, or a folder or link on the way to it.
func Open(name string, owners Owners) (*os.File, error) {
	if err := trust(name, owners); err != nil {
		return nil, err
	}
	return OpenAny(name)
}

func trust(name string, owners Owners) error {
	e, err := doubt(name, owners)
	if e != nil {
		return e
	}
	return err
}

// OpenFolder opens a folder in which only the owners can have made files, as [Open] checks it.
func OpenFolder(name string, owners Owners) (*os.File, error) {
	if err := trust(name, owners); err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("is no folder")}
	}
	if err != nil {
		return nil, err
	}
	return os.Open(name)
}

// Append opens a file to be written at its end, and makes it if need be, with that mode less
// the umask. One that is there must be this user's, or root's.
func Append(name string, mode fs.FileMode) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		if err := trust(name, Mine()); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, mode.Perm())
}

// Link makes a symbolic link, in the place of what has that name.
func Link(target, name string) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".wgnode-"+rand.Text())
	err := os.Symlink(target, tmp)
	if err == nil {
		if err = os.Rename(tmp, name); err != nil {
			err = errors.Join(err, os.Remove(tmp))
		}
	}
	if err != nil {
		return fmt.Errorf("make link %s: %w", name, err)
	}
	return nil
}

// RemoveRemains removes nothing here: whether another process is at work on a file is not known.
func RemoveRemains(string) error { return nil }

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
