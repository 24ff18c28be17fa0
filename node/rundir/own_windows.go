package rundir

import (
	"os"
	"path/filepath"
)

// own is a folder of the user's own, below %LocalAppData%.
func own() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "wgnode", "run")
}
