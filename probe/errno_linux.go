package probe

import "syscall"

func errnoOfLinux(n uint8) syscall.Errno { return syscall.Errno(n) }

// numberOnLinux is 0 for an errno that has no room in an event.
func numberOnLinux(errno syscall.Errno) uint8 {
	if errno > 255 {
		return 0
	}
	return uint8(errno)
}
