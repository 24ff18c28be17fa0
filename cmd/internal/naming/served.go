package naming

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/wgnode/wgnode/tunnel/uapi"
)

// maxName is IFNAMSIZ: the name of an interface is shorter.
const maxName = 16

// GetStatus asks the device, and gives the reason of a failure as the errno
// that wg would find.
func GetStatus(name string) (*uapi.Status, syscall.Errno) {
	errno := Served(name)
	if errno != 0 && len(name) >= maxName {
		errno = syscall.ENAMETOOLONG // as wg says since 2023: no interface can have the name
	}
	if errno != 0 {
		return nil, errno
	}
	status, err := uapi.Get(name)
	return status, ErrnoOf(err)
}

// Served looks whether there is a userspace device of that name.
func Served(name string) syscall.Errno {
	conn, err := uapi.Dial(name)
	if errors.Is(err, fs.ErrPermission) {
		return syscall.EACCES // wg would go on to ask the kernel, which knows nothing of it
	}
	if err != nil {
		return kernelErrno(name)
	}
	// This connection only told that somebody serves the socket.
	_ = conn.Close()
	return 0
}

// ErrnoOf finds the reason in the error of a request.
func ErrnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &errno):
		return errno
	}
	return syscall.EPROTO
}
