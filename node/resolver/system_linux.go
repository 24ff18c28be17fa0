package resolver

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Flags of an open that follows no link, and does not wait for a pipe's other end.
const (
	noFollow = unix.O_NOFOLLOW
	noBlock  = unix.O_NONBLOCK
)

// attributes takes in whose a file is, and what it allows.
func (s *Snapshot) attributes(f *os.File, info fs.FileInfo) {
	st := info.Sys().(*syscall.Stat_t)
	s.Mode, s.UID, s.GID = st.Mode&0o7777, int(st.Uid), int(st.Gid)
	// Most file systems of containers and in memory know no such flags.
	if flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
		s.immutable = flags&unix.STATX_ATTR_IMMUTABLE != 0 // the same bit as FS_IMMUTABLE_FL
	}
}

// unnamable reports whether an error says that a name cannot change: a mount point cannot be
// renamed over; a folder may be read-only but for what is mounted in it.
func unnamable(err error) bool { return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EROFS) }

// readOnly reports whether a file is on a read-only file system.
func readOnly(path string) bool { return unix.Access(path, unix.W_OK) == unix.EROFS }
