// Package say prints lines for people.
package say

import (
	"fmt"
	"io"

	"github.com/wgnode/wgnode/probe/harmless"
)

// Line prints a line. Nobody listening is no error, nor is a writer that fails.
func Line(out io.Writer, format string, args ...any) {
	if out != nil {
		_, _ = fmt.Fprintln(out, harmless.Lines(fmt.Sprintf(format, args...))) // of names and errors others have a say
	}
}
