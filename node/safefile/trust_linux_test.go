package safefile

import (
	"os"
	"path/filepath"
	"testing"
)

// What systems other than Linux check by names finds the same as what Linux checks by descriptors.
func TestDoubtByNames(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: files of other users")
	}
	dir, err := os.MkdirTemp("/root", "wgnode-trust-*")
	if err != nil {
		t.Skip("needs a folder of root's alone")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := func(s string) string { return filepath.Join(dir, s) }
	for _, step := range []error{
		os.WriteFile(name("mine"), nil, 0o600),
		os.WriteFile(name("foreign"), nil, 0o600), os.Chown(name("foreign"), 4242, 4242),
		os.WriteFile(name("open"), nil, 0o600), os.Chmod(name("open"), 0o666),
		os.Mkdir(name("shared"), 0o700), os.Chmod(name("shared"), 0o777), os.WriteFile(name("shared/mine"), nil, 0o600),
		os.Symlink("mine", name("link")), os.Symlink("shared/mine", name("away")),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	for file, trusted := range map[string]bool{
		"mine": true, "link": true, "foreign": false, "open": false, "shared/mine": false, "away": false,
	} {
		by, err := doubt(name(file), Owners{0})
		if err != nil || (by == nil) != trusted {
			t.Errorf("%s: by names %v, %v", file, by, err)
		}
		if f, err := Open(name(file), Owners{0}); (err == nil) != trusted {
			t.Errorf("%s: by descriptors %v", file, err)
		} else if err == nil {
			_ = f.Close()
		}
	}
	if _, err := doubt(name("nothing"), Owners{0}); !os.IsNotExist(err) {
		t.Errorf("nothing there: %v", err)
	}
}
