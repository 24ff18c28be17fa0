package naming

import (
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
)

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
