package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/render"
)

// Warn prints a line beside the output of cmd: what is worth knowing, and is no error.
func Warn(cmd *cobra.Command, format string, args ...any) error {
	if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "wgnode: %s\n", harmless.Line(fmt.Sprintf(format, args...))); err != nil {
		return fmt.Errorf("warn: %w", err)
	}
	return nil
}

// PrintReport prints a report as JSON, or has text print it for people.
func PrintReport(cmd *cobra.Command, report any, asJSON bool, text func() error) error {
	if !asJSON {
		return text()
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(report); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// TextOptions are those for what cmd prints to.
func TextOptions(cmd *cobra.Command) render.Options {
	out := cmd.OutOrStdout()
	o := render.Options{Options: eventtext.Options{Color: UsesColor(out), ASCII: !utf8Locale()}}
	if f, ok := out.(*os.File); ok && IsTerminal(out) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			o.Width = min(width, 120)
		}
	}
	return o
}

// utf8Locale reports whether the user's locale has UTF-8, as locale(7) says
// that programs should find out. With none set at all it is taken to.
func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return true
}
