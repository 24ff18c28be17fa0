package safefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Write makes write's output the content of a file, whole or not at all. A link
// that is there stays, and what it leads to is replaced, unless the link is
// another user's, in a folder where others can make files. The error is an
// [Untrusted] then. A device or a pipe is written to as it is.
func Write(name string, o Options, write func(io.Writer) error) error {
	if err := put(name, o, write); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func put(name string, o Options, write func(io.Writer) error) error {
	if stream(name) {
		return writeTo(name, write)
	}
	p, err := follow(name, Mine(), !o.New && o.Exactly == nil)
	if err != nil {
		return err
	}
	defer p.close()
	switch {
	case p.link != nil:
		return p.link
	case p.there == nil, o.Exactly != nil:
	case o.New:
		return fs.ErrExist
	case p.there.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.EISDIR
	case p.there.Mode&unix.S_IFMT != unix.S_IFREG:
		return writeTo(p.path, write)
	}
	return p.replace(o, write)
}

// stream reports whether a name stands for a descriptor of this process.
func stream(name string) bool {
	return name == "/dev/stdout" || name == "/dev/stderr" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// writeTo writes to what is no file, or to a file that is open already.
func writeTo(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return errors.Unwrap(err)
	}
	return errors.Join(write(f), f.Close())
}

// Link makes a symbolic link, in the place of what has that name.
func Link(target, name string) error {
	if err := putLink(target, name); err != nil {
		return fmt.Errorf("make link %s: %w", name, err)
	}
	return nil
}

func putLink(target, name string) error {
	p, err := follow(name, Mine(), false)
	if err != nil {
		return err
	}
	defer p.close()
	if p.link != nil {
		return p.link
	}
	tmp := p.prefix() + rand.Text()
	if err := unix.Symlinkat(target, p.folder, tmp); err != nil {
		return err
	}
	if err := unix.Renameat(p.folder, tmp, p.folder, p.name); err != nil {
		return errors.Join(err, unix.Unlinkat(p.folder, tmp, 0))
	}
	return p.sync()
}

// replace puts a new file in the place.
func (p *place) replace(o Options, write func(io.Writer) error) (err error) {
	if err := p.removeRemains(); err != nil {
		return err
	}
	mode := o.Mode.Perm()
	if o.Exactly != nil {
		mode = 0o600
	}
	tmp, f, err := p.create(mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignore(unix.Unlinkat(p.folder, tmp, 0), unix.ENOENT))
		}
	}()
	if o.Exactly != nil {
		err = o.Exactly.give(f)
	} else {
		err = p.inherit(f, mode)
	}
	if err == nil {
		err = write(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		// While f is open it is locked, and is not taken for remains.
		err = p.publish(tmp, o.New)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return p.sync()
}

// publish gives the file tmp the name of the place.
func (p *place) publish(tmp string, isNew bool) error {
	if !isNew {
		return unix.Renameat(p.folder, tmp, p.folder, p.name)
	}
	err := unix.Renameat2(p.folder, tmp, p.folder, p.name, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	// The file system does not know how. A link fails as well if the name is taken.
	if err := unix.Linkat(p.folder, tmp, p.folder, p.name, 0); err != nil {
		return err
	}
	return unix.Unlinkat(p.folder, tmp, 0)
}

// inherit gives f owner and mode of the file in whose place it will be.
func (p *place) inherit(f *os.File, mode fs.FileMode) error {
	if p.there == nil || !Mine().Has(p.there.Uid) {
		return nil
	}
	kept := fs.FileMode(p.there.Mode & 0o777)
	if mode&0o007 == 0 {
		kept &^= 0o007
	}
	// The user may be in the group or not, and cannot make presents of files.
	if err := f.Chown(int(p.there.Uid), int(p.there.Gid)); errors.Is(err, fs.ErrPermission) {
		kept &= mode
	} else if err != nil {
		return err
	}
	return f.Chmod(kept)
}

// give makes f what a says.
func (a *Attributes) give(f *os.File) error {
	if err := f.Chown(a.UID, a.GID); err != nil {
		return err
	}
	return unix.Fchmod(int(f.Fd()), a.Mode) // after chown, which clears set-id bits
}

// sync has the folder on the disk, as far as that can be.
func (p *place) sync() error {
	fd, err := unix.Openat(p.folder, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.EACCES {
		return nil // a folder that can be written, and not read
	}
	if err != nil {
		return err
	}
	err = ignore(unix.Fsync(fd), unix.EINVAL) // some file systems have nothing to do
	return errors.Join(err, unix.Close(fd))
}

func ignore(err error, ignored ...error) error {
	if slices.Contains(ignored, err) {
		return nil
	}
	return err
}

// prefix begins the names of the files that are to get the name of the place.
func (p *place) prefix() string {
	return "." + p.name[:min(len(p.name), 200)] + ".wgnode-"
}

// create makes a file that nobody can have waited for, and locks it.
func (p *place) create(mode fs.FileMode) (name string, f *os.File, err error) {
	for {
		name = p.prefix() + rand.Text()
		fd, err := unix.Openat(p.folder, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode))
		if err != nil {
			return "", nil, err
		}
		f = os.NewFile(uintptr(fd), p.path)
		var st unix.Stat_t
		if err := errors.Join(lock(fd), unix.Fstat(fd, &st)); err != nil {
			return "", nil, errors.Join(err, f.Close(), unix.Unlinkat(p.folder, name, 0))
		}
		if st.Nlink > 0 {
			return name, f, nil
		}
		// Before it was locked somebody took it for remains.
		if err := f.Close(); err != nil {
			return "", nil, err
		}
	}
}

// lock waits for the lock of a file. On file systems without locks there is none.
func lock(fd int) error {
	for {
		if err := unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			return ignore(err, unix.ENOLCK, unix.EOPNOTSUPP, unix.ENOSYS)
		}
	}
}
