//go:build linux

package compare

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
)

// daemon is an entry's processes on one end. They are found by looking, as a
// program that goes into the background is not the process that was started.
type daemon struct {
	host *lab.Host
	proc *lab.Proc // what was started
	pids []int     // as the host numbers them
}

// startDaemon starts an entry's daemon on a host that runs nothing else, and
// configures its interface.
func startDaemon(t testing.TB, h *lab.Host, e Entry, tunnel lab.Tunnel) daemon {
	t.Helper()
	d := daemon{host: h, proc: h.Start(e.Daemon.For(tunnel.Name)...)}
	h.AwaitUAPI(d.proc, tunnel.Name)
	err := h.Do(func() error {
		entries, err := os.ReadDir("/proc")
		for _, entry := range entries {
			// Process 1 is what holds the host.
			if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != 1 {
				d.pids = append(d.pids, pid)
			}
		}
		return err
	})
	if err != nil || len(d.pids) == 0 {
		t.Fatalf("find the processes of %s on %s: %d found, %v", e.Name, h.Name(), len(d.pids), err)
	}
	h.SetUpTunnel(tunnel)
	return d
}

// cpuSeconds returns the user and system time that the daemons' processes have
// used since they were started.
func cpuSeconds(t testing.TB, daemons []daemon) (seconds float64) {
	t.Helper()
	for _, d := range daemons {
		err := d.host.Do(func() error {
			for _, pid := range d.pids {
				s, err := processSeconds(pid)
				if err != nil {
					return err
				}
				seconds += s
			}
			return nil
		})
		if err != nil {
			t.Fatalf("CPU time on %s: %v", d.host.Name(), err)
		}
	}
	return seconds
}

// clockTick is the unit of times in /proc, USER_HZ: 1/100 s on every
// architecture that Go supports.
const clockTick = 0.01

// processSeconds reads a process's utime and stime, the 14th and 15th field of
// /proc/PID/stat; see proc_pid_stat(5).
func processSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, which may contain
	// anything.
	stat := string(b)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: too few fields", pid)
	}
	var ticks float64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += float64(n)
	}
	return ticks * clockTick, nil
}

// peakMemory returns the largest resident set that the daemons' processes have
// had, added up, in bytes.
func peakMemory(t testing.TB, daemons []daemon) (bytes float64) {
	t.Helper()
	return memory(t, daemons, "VmHWM:")
}

// memory returns a line of the daemons' /proc/PID/status, added up, in bytes.
func memory(t testing.TB, daemons []daemon, line string) (bytes float64) {
	t.Helper()
	for _, d := range daemons {
		err := d.host.Do(func() error {
			for _, pid := range d.pids {
				b, err := statusBytes(pid, line)
				if err != nil {
					return err
				}
				bytes += b
			}
			return nil
		})
		if err != nil {
			t.Fatalf("memory on %s: %v", d.host.Name(), err)
		}
	}
	return bytes
}

// statusBytes reads a size from /proc/PID/status; see proc_pid_status(5).
func statusBytes(pid int, name string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kB, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/%d/status: %w", pid, err)
			}
			return float64(kB) * 1024, nil
		}
	}
	return 0, fmt.Errorf("/proc/%d/status: no %s", pid, name)
}
