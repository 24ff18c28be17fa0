//go:build !linux

package probe

import "syscall"

// linuxErrnos are the numbers that Linux has for what a UDP socket says.
var linuxErrnos = map[uint8]syscall.Errno{
	1: syscall.EPERM, 12: syscall.ENOMEM, 13: syscall.EACCES, 22: syscall.EINVAL, 90: syscall.EMSGSIZE,
	97: syscall.EAFNOSUPPORT, 99: syscall.EADDRNOTAVAIL, 100: syscall.ENETDOWN, 101: syscall.ENETUNREACH,
	105: syscall.ENOBUFS, 111: syscall.ECONNREFUSED, 113: syscall.EHOSTUNREACH,
}

// errnoOfLinux is 0 for a number that is not known here.
func errnoOfLinux(n uint8) syscall.Errno { return linuxErrnos[n] }

// numberOnLinux is 0 for an errno that is not known there.
func numberOnLinux(errno syscall.Errno) uint8 {
	for n, e := range linuxErrnos {
		if e == errno {
			return n
		}
	}
	return 0
}
