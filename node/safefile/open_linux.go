package safefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Open opens a regular file that only the owners can have written. Its name is
// then without links. The error is an [Untrusted] if others own the file, or can
// write it, or a folder or link on the way to it.
func Open(name string, owners Owners) (*os.File, error) {
	return open(name, owners, true)
}

// OpenAny opens a regular file that anybody may have written. Its name is then
// without links.
func OpenAny(name string) (*os.File, error) { return open(name, Mine(), false) }

func open(name string, owners Owners, strict bool) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	p, err := follow(name, owners, true)
	if err != nil {
		return fail(err)
	}
	defer p.close()
	switch {
	case p.there == nil:
		return fail(unix.ENOENT)
	case strict && p.doubt != nil:
		return nil, p.doubt.of(name)
	case p.there.Mode&unix.S_IFMT == unix.S_IFDIR:
		return fail(unix.EISDIR)
	case p.there.Mode&unix.S_IFMT != unix.S_IFREG: // to open a device may do something
		return fail(ErrNotRegular)
	}
	// Not blocking, should there be a pipe by now.
	fd, err := unix.Openat(p.folder, p.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(fd), p.called(name))
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail(errors.Join(ErrNotRegular, f.Close()))
	}
	if doubt := p.judge(fd, &st); strict && doubt != nil {
		return nil, errors.Join(doubt.of(name), f.Close())
	}
	return f, nil
}

// called is the name of the place for people who have called it name: without
// links, and relative if that is.
func (p *place) called(name string) string {
	if !filepath.IsAbs(name) {
		if relative, err := filepath.EvalSymlinks(name); err == nil {
			return relative
		}
	}
	return p.path
}

// OpenFolder opens a folder in which only the owners can have made files that
// belong to them. The error is an [Untrusted] if others own it, or can write it,
// or a folder or link on the way to it.
func OpenFolder(name string, owners Owners) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	p, err := followInto(name, owners)
	if err != nil {
		return fail(err)
	}
	defer p.close()
	if p.doubt != nil {
		return nil, p.doubt.of(name)
	}
	fd, err := unix.Openat(p.folder, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	return os.NewFile(uintptr(fd), p.path), nil
}

// judge returns why the file itself, of which fd is a descriptor, is not trusted.
func (p *place) judge(fd int, st *unix.Stat_t) *Untrusted {
	owners := p.owners
	if mounted(fd) {
		owners = owners.And(int(st.Uid))
	}
	why, others := writers(fd, st, owners, p.path)
	switch {
	case !owners.Has(st.Uid):
		return untrusted(st, p.path, Foreign)
	case others:
		return untrusted(st, p.path, why)
	case p.shared && st.Nlink > 1:
		return untrusted(st, p.path, Linked)
	}
	return nil
}

// IsNull reports whether a name leads to /dev/null.
func IsNull(name string) bool {
	var st unix.Stat_t
	return unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(st.Rdev) == unix.Mkdev(1, 3)
}
