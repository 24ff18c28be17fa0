//go:build linux

package sitetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/wgnode/wgnode/probe/patience"
)

// KernelObjects are BPF programs, maps and links, by the name of their identifier in
// /proc/PID/fdinfo: "prog_id 17".
type KernelObjects map[string]bool

// ObjectsOf are those that a process has, as /proc of the calling thread has it.
func ObjectsOf(t *testing.T, pid int) KernelObjects {
	t.Helper()
	all := make(KernelObjects)
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // the process may have closed it
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			switch f := strings.Fields(line); {
			case len(f) == 2 && (f[0] == "prog_id:" || f[0] == "map_id:" || f[0] == "link_id:"):
				all[strings.Replace(strings.Join(f, " "), ":", "", 1)] = true
			}
		}
	}
	return all
}

// Gone waits until the kernel has none of them.
func (all KernelObjects) Gone(t *testing.T) {
	t.Helper()
	for object := range all {
		var kind string
		var id uint32
		if _, err := fmt.Sscan(object, &kind, &id); err != nil {
			t.Fatal(err)
		}
		patience.See(t, "no "+object, func() (string, bool) {
			var c interface{ Close() error }
			var err error
			switch kind {
			case "prog_id":
				c, err = ebpf.NewProgramFromID(ebpf.ProgramID(id))
			case "map_id":
				c, err = ebpf.NewMapFromID(ebpf.MapID(id))
			default:
				c, err = link.NewFromID(link.ID(id))
			}
			if err == nil {
				_ = c.Close() // it is there
			}
			return fmt.Sprint(err), errors.Is(err, os.ErrNotExist)
		})
	}
}
