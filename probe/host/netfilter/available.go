//go:build linux

package netfilter

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Available returns nil if packets can be traced in the network namespace of
// the calling thread, and else why not, in words for the user. It changes
// nothing.
func Available() error {
	c, err := dial()
	if err != nil {
		return explainDial(err)
	}
	defer c.Close()
	if _, err := generation(c); err != nil {
		return explain(err)
	}
	if err := c.JoinGroup(unix.NFNLGRP_NFTRACE); err != nil {
		return explain(err)
	}
	return nil
}

// explainDial words an error of opening a socket.
func explainDial(err error) error {
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return fmt.Errorf("this kernel has no netfilter: %w", err)
	}
	return fmt.Errorf("open nfnetlink: %w", err)
}

// explain words an error of the first requests.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("the capability CAP_NET_ADMIN is missing: %w", err)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("this kernel has no nf_tables for the family inet: %w", err)
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("this kernel has no nf_tables: %w", err)
	}
	return err
}

// socketMemory reads a socket's SO_MEMINFO: what waits in it, and what it had
// no room for.
func socketMemory(fd int) (info [unix.SK_MEMINFO_VARS]uint32, err error) {
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return info, errno
	}
	return info, nil
}
