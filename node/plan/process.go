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
// process ids, but not together with the time of the start.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in clock ticks after boot, as in proc_pid_stat(5)
}

// Self returns the calling process.
func Self() (Process, error) {
	pid := os.Getpid()
	start, err := startOf(pid)
	if err != nil {
		return Process{}, fmt.Errorf("look up this process: %w", err)
	}
	return Process{PID: pid, Start: start}, nil
}

// Alive reports whether the process still runs. One that has ended and waits
// for its parent to collect it does not.
func (p Process) Alive() (bool, error) {
	start, err := startOf(p.PID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up process %d: %w", p.PID, err)
	}
	return start != 0 && start == p.Start, nil
}

// startOf returns when a process started, 0 if it has ended and is only waited
// for.
func startOf(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the name in parentheses, may hold anything, also
	// spaces and parentheses; the third, the state, follows the last one of
	// these, and the start time is the 22nd.
	const state, starttime = 0, 22 - 3
	i := strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(fields) <= starttime {
		return 0, fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return 0, nil
	}
	start, err := strconv.ParseUint(fields[starttime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	return start, nil
}
