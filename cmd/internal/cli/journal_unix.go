//go:build unix

package cli

import (
	"fmt"
	"io/fs"
	"syscall"
)

// streamOf is what $JOURNAL_STREAM calls a file.
func streamOf(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
