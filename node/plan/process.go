package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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

func (p Process) look() (there, ended bool, err error) {
	start, state, err := stat(p.PID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("look up process %d: %w", p.PID, err)
	}
	return start == p.Start, state == "Z" || state == "X", nil
}

// Stopped reports whether the process with a number is stopped, by a signal or a
// debugger. It then answers nobody, and takes no signal but those that end a process
// or let it go on.
func Stopped(pid int) bool {
	_, state, err := stat(pid)
	return err == nil && strings.EqualFold(state, "T")
}

// startOf returns when a process started.
func startOf(pid int) (uint64, error) {
	start, _, err := stat(pid)
	return start, err
}

// stat returns when a process started, and the letter of its state as in
// proc_pid_stat(5): Z or X of one that has ended and is only waited for.
func stat(pid int) (start uint64, letter string, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", err
	}
	// The second field, the name in parentheses, may hold anything, also
	// spaces and parentheses; the third, the state, follows the last one of
	// these, and the start time is the 22nd.
	const state, starttime = 0, 22 - 3
	i := strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(fields) <= starttime {
		return 0, "", fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	start, err = strconv.ParseUint(fields[starttime], 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return start, fields[state], nil
}
