package cli

import (
	"os"
)

// FileExists reports whether something is at a path, as far as this user can see.
func FileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// WorldAccessible reports whether f is a file (no pipe, no terminal) that
// users other than its owner and group may read, write or execute.
func WorldAccessible(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0
}
