package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func (p Process) look() (there, ended bool, err error) {
	start, state, err := stat(p.PID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
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
