package safefile

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Append opens a file to be written at its end, and makes it if need be, with
// that mode less the umask. The error is an [Untrusted] if another user has made
// the file, or a link to it, where others can make files. A device or a pipe is
// opened as it is, but one that nobody reads from is an error.
func Append(name string, mode fs.FileMode) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY
	if stream(name) {
		return os.OpenFile(name, flags, 0)
	}
	owners := Mine()
	p, err := follow(name, owners, true)
	if err != nil {
		return fail(err)
	}
	defer p.close()
	if p.link != nil {
		return nil, p.link
	}
	create := unix.O_CREAT | unix.O_EXCL
	if p.there != nil {
		create = 0
	}
	fd, err := unix.Openat(p.folder, p.name, flags|create|unix.O_NOFOLLOW, uint32(mode.Perm()))
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(fd), p.path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	if p.shared || p.doubt != nil {
		switch {
		case !owners.Has(st.Uid):
			return nil, errors.Join(untrusted(&st, p.path, Foreign), f.Close())
		case st.Nlink > 1:
			return nil, errors.Join(untrusted(&st, p.path, Linked), f.Close())
		}
	}
	return f, nil
}
