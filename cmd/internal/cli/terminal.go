package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether a person reads what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// UsesColor reports whether text for w should be colored: w is a terminal that
// can, and NO_COLOR (https://no-color.org/) is unset or empty.
func UsesColor(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
