//go:build unix

package safefile

import (
	"io/fs"
	"syscall"
)

// Owner is the number of the user whose a file is, as far as the system has such numbers.
func Owner(info fs.FileInfo) (uid uint32, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, true
}
