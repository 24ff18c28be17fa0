//go:build unix

package rundir

import (
	"fmt"
	"os"
	"path/filepath"
)

// own is a folder of the user's own.
func own() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "wgnode")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("wgnode-%d", os.Geteuid()))
}
