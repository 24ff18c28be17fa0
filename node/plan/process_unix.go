//go:build unix && !linux

package plan

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startOf returns when a process started, in seconds since 1970, and startOf of one that is not there
// 0: ps(1) knows on all of these systems.
func startOf(pid int) (uint64, error) {
	start, _, err := ps(pid)
	if err == nil && start == 0 {
		err = syscall.ESRCH
	}
	return start, err
}

func (p Process) look() (there, ended bool, err error) {
	start, state, err := ps(p.PID)
	if err != nil {
		return false, false, err
	}
	return start != 0 && start == p.Start, strings.HasPrefix(state, "Z"), nil
}

// Stopped reports whether the process with a number is stopped, by a signal or a debugger.
func Stopped(pid int) bool {
	_, state, err := ps(pid)
	return err == nil && strings.HasPrefix(state, "T")
}

func ps(pid int) (start uint64, state string, err error) {
	cmd := exec.Command("ps", "-o", "stat=", "-o", "lstart=", "-p", strconv.Itoa(pid))
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.Output()
	words := strings.Fields(string(out))
	if errors.As(err, new(*exec.ExitError)) && len(words) == 0 {
		return 0, "", nil // there is none
	}
	if err != nil || len(words) < 2 {
		return 0, "", fmt.Errorf("look up process %d by ps: %w", pid, errors.Join(err, errors.New(strings.TrimSpace(string(out)))))
	}
	at, err := time.Parse("Mon Jan 2 15:04:05 2006", strings.Join(words[1:], " "))
	if err != nil {
		return 0, "", fmt.Errorf("look up process %d by ps: %w", pid, err)
	}
	return uint64(at.Unix()), words[0], nil
}
