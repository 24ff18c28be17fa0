package plan

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

// stillActive is the exit code of a process that runs (STILL_ACTIVE).
const stillActive = 259

func (p Process) look() (there, ended bool, err error) {
	start, ended, err := times(p.PID)
	return start != 0 && start == p.Start, ended, err
}

// Stopped reports whether a process is stopped: Windows stops none.
func Stopped(int) bool { return false }

// startOf returns when a process started, in units of 100 ns since 1601.
func startOf(pid int) (uint64, error) {
	start, _, err := times(pid)
	if err == nil && start == 0 {
		err = windows.ERROR_NOT_FOUND
	}
	return start, err
}

// times is 0 for a process that is not there.
func times(pid int) (start uint64, ended bool, err error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look up process %d: %w", pid, err)
	}
	defer func() { _ = windows.CloseHandle(h) }() // nothing was changed
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return 0, false, fmt.Errorf("look up process %d: %w", pid, err)
	}
	var code uint32
	if err := windows.GetExitCodeProcess(h, &code); err != nil {
		return 0, false, fmt.Errorf("look up process %d: %w", pid, err)
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), code != stillActive, nil
}
