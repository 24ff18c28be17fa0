//go:build unix

package bundle

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// kernel is what uname(1) says of it.
func kernel() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for the kernel's version: %w", err)
	}
	text := func(b []byte) string { return unix.ByteSliceToString(b) }
	return fmt.Sprintf("%s %s %s %s", text(u.Sysname[:]), text(u.Release[:]), text(u.Version[:]), text(u.Machine[:])), nil
}
