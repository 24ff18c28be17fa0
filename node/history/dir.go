package history

import (
	"os"
	"path/filepath"
	"strings"
)

// Dir is the folder that the histories of this user's tunnels are in: what the service manager
// says (STATE_DIRECTORY, systemd.exec(5)), else /var/lib/wgnode for root and the user's own folder
// of states for others (XDG Base Directory Specification). It is "" if there is none: a user
// without a home.
func Dir() string {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/wgnode"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "wgnode")
	}
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "wgnode")
	}
	return ""
}
