//go:build linux

package naming

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/cmd/internal/cli"
)

// A unit is looked up by systemd. Where that is not what runs, or knows no process of the
// unit's, it is said.
func TestProcessOf(t *testing.T) {
	for _, c := range []struct {
		name, systemctl, as string // systemctl: "" for none
		pid                 int
		says, hint          string
	}{
		{name: "by its number", as: "77", pid: 77},
		{name: "no number of a process", as: "0", says: "want the number of a process"},
		{name: "a unit", systemctl: "echo 42", as: "nginx.service", pid: 42},
		{name: "a unit without a process", systemctl: "echo 0", as: "nginx.service", says: "no main process; is it running?"},
		{name: "no systemd", as: "nginx.service", says: "systemctl", hint: "--as PID does without systemd"},
		{name: "systemd does not run", systemctl: "echo System has not been booted with systemd >&2; exit 1", as: "nginx.service",
			says: "not been booted", hint: "--as PID does without systemd"},
	} {
		dir := t.TempDir()
		t.Setenv("PATH", dir)
		if c.systemctl != "" {
			if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\n"+c.systemctl+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		pid, err := ProcessOf(t.Context(), c.as)
		if pid != c.pid || (err != nil) != (c.says != "") {
			t.Errorf("%s: %d, %v", c.name, pid, err)
		}
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "--as "+c.as) || strings.Join(cli.Hints(err), "") != c.hint {
			t.Errorf("%s: %v, %q", c.name, err, cli.Hints(err))
		}
	}
}
