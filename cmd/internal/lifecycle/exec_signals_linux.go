package lifecycle

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/confine"
)

// forwarded are the signals that the command gets when this process does.
// SIGWINCH is not among them: it goes to all processes in the foreground of the
// terminal, and the command is one. Nor is SIGTSTP, by which both stop.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// catchSignals keeps signals from ending this process: it has to outlive the
// command. What was ignored, as nohup(1) has it, stays ignored for both.
func catchSignals() <-chan os.Signal {
	c := make(chan os.Signal, 16)
	for _, s := range forwarded {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	return c
}

// forward sends the command what comes, but for what the terminal has sent: that
// went to the command as well.
func forward(signals <-chan os.Signal, p *confine.Process) {
	for s := range signals {
		if (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground() {
			continue
		}
		_ = p.Signal(s) // it may have ended meanwhile
	}
}

// inForeground reports whether this process is in the group that gets the signals
// of the terminal's keys.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// endLike ends as the command has: by its status, or by the signal that ended it,
// so that a shell that runs both sees no difference. If that fails the status is
// the one that a shell makes of the signal.
func endLike(end syscall.WaitStatus) error {
	if !end.Signaled() {
		return cli.ExitStatus(end.ExitStatus())
	}
	s := end.Signal()
	if s != syscall.SIGKILL {
		// What the Go runtime does on a signal is not what the signal does.
		var action [64]byte // struct sigaction of the kernel's: zeros are SIG_DFL
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), s)
	return cli.ExitStatus(128 + int(s))
}
