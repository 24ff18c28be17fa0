package naming

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/tunnel/uapi"
)

// GetStatus asks the device, and gives the reason of a failure as the errno
// that wg would find.
func GetStatus(name string) (*uapi.Status, syscall.Errno) {
	errno := Served(name)
	if errno != 0 && len(name) >= unix.IFNAMSIZ {
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

// kernelErrno is why the kernel, which wg asks about a name that no userspace
// device has, would not answer either.
func kernelErrno(name string) syscall.Errno {
	if _, err := netlink.GenlFamilyGet("wireguard"); err != nil {
		return syscall.EPROTONOSUPPORT // no WireGuard in this kernel
	}
	if os.Geteuid() != 0 {
		return syscall.EPERM
	}
	if _, err := net.InterfaceByName(name); err == nil {
		return syscall.EOPNOTSUPP
	}
	return syscall.ENODEV
}
