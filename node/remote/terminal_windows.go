package remote

import (
	"os"
	"syscall"
)

// terminal is not lent on Windows: a command in a process group of its own may read from it.
type terminal struct{}

func lend(*syscall.SysProcAttr) *terminal { return nil }

func (t *terminal) takeBack() {}

// ownGroup has a command be in a process group of its own.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// endGroup ends the command. What it has started is left.
func endGroup(p *os.Process) { _ = p.Kill() } // it may have ended
