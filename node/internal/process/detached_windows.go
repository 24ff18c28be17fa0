package process

import "syscall"

// detachedProcess is DETACHED_PROCESS: without a console.
const detachedProcess = 0x8

// Detached has a process that is started live on without this one's console.
func Detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess}
}
