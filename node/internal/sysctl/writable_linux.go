package sysctl

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Writable returns nil if the caller may set a parameter, and else why not.
func Writable(name string) error {
	if err := unix.Access(path(name), unix.W_OK); err != nil {
		return fmt.Errorf("set sysctl %s: %w", name, err)
	}
	return nil
}
