//go:build linux

package netfilter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Sweep removes the tables of tracers whose process is dead, and returns their
// names. There are none but on kernels without owned tables, older than 5.12.
// Tables of living processes are left alone, and so are those of processes in
// another PID namespace, which cannot be told dead from here.
func Sweep() (removed []string, err error) {
	c, err := dial()
	if err != nil {
		return nil, fmt.Errorf("open nfnetlink: %w", err)
	}
	defer c.Close()
	removed, err = sweep(c)
	if err != nil {
		return removed, fmt.Errorf("sweep tables: %w", err)
	}
	return removed, nil
}

func sweep(c *netlink.Conn) (removed []string, err error) {
	id, err := self()
	if err != nil {
		return nil, err
	}
	tables, err := listTables(c)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t.flags&nftOwner != 0 || !leftover(t.Name, id.space) {
			continue
		}
		// A batch that failed leaves answers in its connection.
		if err := removeAlone(t.Table); err != nil && !errors.Is(err, unix.ENOENT) {
			return removed, fmt.Errorf("delete table %v: %w", t.Table, err)
		}
		removed = append(removed, t.Name)
	}
	return removed, nil
}

func removeAlone(t Table) error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return remove(c, familyNumber(t.Family), t.Name)
}

// leftover reports whether name is that of a table whose process, one of the
// PID namespace, is dead.
func leftover(name string, space uint64) bool {
	rest, ok := strings.CutPrefix(name, tablePrefix)
	if !ok {
		return false
	}
	var p process
	var n uint64
	if _, err := fmt.Sscanf(rest, "%d-%d-%d-%d", &p.space, &p.pid, &p.start, &n); err != nil || p.space != space || p.pid <= 0 {
		return false
	}
	if errors.Is(unix.Kill(p.pid, 0), unix.ESRCH) {
		return true
	}
	// Where the start cannot be read the process may be the one.
	start, err := processStart(p.pid)
	return err == nil && start != p.start
}

// process tells one process from all others since boot.
type process struct {
	space uint64 // the number of its PID namespace
	pid   int
	start uint64 // in clock ticks since boot
}

// String is what the names of tables have of it.
func (p process) String() string { return fmt.Sprintf("%d-%d-%d", p.space, p.pid, p.start) }

// self returns this process.
var self = sync.OnceValues(func() (process, error) {
	p := process{pid: os.Getpid()}
	var st unix.Stat_t
	err := unix.Stat("/proc/self/ns/pid", &st)
	if err == nil {
		p.space = st.Ino
		p.start, err = processStart(p.pid)
	}
	if err != nil {
		return p, fmt.Errorf("look at this process in /proc: %w", err)
	}
	return p, nil
})

// processStart returns when a process started, in clock ticks since boot.
func processStart(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// proc_pid_stat(5): field 22. The name, field 2, is in parentheses and may
	// have spaces and parentheses in it.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const start = 22 - 3
	if len(fields) <= start {
		return 0, fmt.Errorf("read start of process %d: unknown format", pid)
	}
	return strconv.ParseUint(string(fields[start]), 10, 64)
}
