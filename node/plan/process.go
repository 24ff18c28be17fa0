package plan

import (
	"fmt"
	"os"
)

// Process names a process for as long as the machine runs: the kernel reuses
// process ids, but not together with the time of the start. The zero Process
// is nobody.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks after boot, as in proc_pid_stat(5)
}

// self returns the calling process.
func self() (Process, error) { return ProcessOf(os.Getpid()) }

// ProcessOf returns the process that has a number now.
func ProcessOf(pid int) (Process, error) {
	start, err := startOf(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look up process %d: %w", pid, err)
	}
	return Process{PID: pid, Start: start}, nil
}

// Alive reports whether the process still runs. One that has ended and waits
// for its parent to collect it does not.
func (p Process) Alive() (bool, error) {
	there, ended, err := p.look()
	return there && !ended, err
}

// Remains reports whether there is anything left of the process. When it is
// killed, it is not Alive as soon as its first thread has ended, but the last
// one takes the open files along.
func (p Process) Remains() (bool, error) {
	there, _, err := p.look()
	return there, err
}
