//go:build unix

package bundle

import (
	"os/exec"
	"syscall"
)

// alone has a program run in a process group of its own, and returns what ends all of that.
func alone(cmd *exec.Cmd) (kill func() error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
