//go:build linux

package inherit

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Both ways keep a descriptor that another program would get, and leave standard
// output as it is.
func TestOnlyStandard(t *testing.T) {
	for name, keep := range map[string]func() error{
		"at once":    OnlyStandard,
		"one by one": func() error { return eachOpen(unix.CloseOnExec) },
	} {
		fd, err := unix.Dup(1) // without close-on-exec
		if err != nil {
			t.Fatal(err)
		}
		if err := keep(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for of, want := range map[int]int{fd: unix.FD_CLOEXEC, 1: 0} {
			if flags, err := unix.FcntlInt(uintptr(of), unix.F_GETFD, 0); err != nil || flags != want {
				t.Errorf("%s: descriptor %d has flags %d, %v, want %d", name, of, flags, err, want)
			}
		}
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	}
}
