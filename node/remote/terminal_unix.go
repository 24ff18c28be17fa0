//go:build unix

package remote

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminal is the one that this process has, lent to a command in a process group of
// its own: ssh asks for passphrases there, and a group in the background would be
// stopped. Nil is none.
type terminal struct {
	file *os.File
	own  int // our process group
	once sync.Once
}

// ownGroup has a command be in a process group of its own, with all that it starts.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// endGroup ends all processes of that group.
func endGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) } // none may be left

// lend has the command be in the foreground, if this process is.
func lend(attr *syscall.SysProcAttr) *terminal {
	file, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // there is none
	}
	own, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPGRP)
	if err != nil || own != unix.Getpgrp() {
		_ = file.Close() // nothing was written
		return nil
	}
	attr.Foreground, attr.Ctty = true, int(file.Fd())
	return &terminal{file: file, own: own}
}

// takeBack puts this process into the foreground again.
func (t *terminal) takeBack() {
	if t == nil {
		return
	}
	t.once.Do(func() {
		// Who takes it from the background would be stopped.
		signal.Ignore(unix.SIGTTOU)
		defer signal.Reset(unix.SIGTTOU)
		_ = unix.IoctlSetPointerInt(int(t.file.Fd()), unix.TIOCSPGRP, t.own) // it may have hung up
		_ = t.file.Close()
	})
}
