//go:build unix

package process

import "syscall"

// Detached has a process that is started live on without this one's terminal.
func Detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
