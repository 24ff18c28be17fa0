//go:build !linux

package naming

import "syscall"

// kernelErrno is why the kernel would not answer for a name that no userspace device has:
// it is asked on Linux alone.
func kernelErrno(string) syscall.Errno { return syscall.EPROTONOSUPPORT }
