package conffile

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"rsc.io/qr"

	"github.com/wgnode/wgnode/cmd/internal/cli"
)

// printQR prints a text as a QR code. It has nothing but the code, without comments, which
// make it larger.
func printQR(cmd *cobra.Command, text string) error {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	code, err := qr.Encode(b.String(), qr.L)
	if err != nil {
		return fmt.Errorf("make QR code: %w", err)
	}
	out := cmd.OutOrStdout()
	quiet := quietModules
	if f, ok := out.(*os.File); ok && cli.IsTerminal(out) {
		width, _, err := term.GetSize(int(f.Fd()))
		if err == nil && width < code.Size+2*quiet {
			quiet = leastQuiet
		}
		if err == nil && width < code.Size+2*quiet {
			_ = cli.Warn(cmd, "the QR code needs %d columns, and this terminal has %d: make it wider, or the font smaller", code.Size+2*quiet, width)
		}
	}
	warnOfOpenFile(cmd, out)
	_, err = io.WriteString(out, qrText(code, quiet, cli.UsesColor(out)))
	return err
}

// A code has this many light modules around it, by its standard; readers take fewer.
const (
	quietModules = 4
	leastQuiet   = 2
)

// qrText is a code for a terminal, two modules a character, one above the other. In color it
// is black on white. Without, light modules are what the terminal writes with: it is for
// one that is dark, as most are.
func qrText(code *qr.Code, quiet int, color bool) string {
	light := func(x, y int) bool { return x < 0 || y < 0 || x >= code.Size || y >= code.Size || !code.Black(x, y) }
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		if color {
			b.WriteString("\x1b[38;5;231;48;5;16m")
		}
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := light(x, y), light(x, y+1) && y+1 < code.Size+quiet
			switch {
			case upper && lower:
				b.WriteString("█")
			case upper:
				b.WriteString("▀")
			case lower:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		if color {
			b.WriteString("\x1b[0m")
		}
		b.WriteString("\n")
	}
	return b.String()
}
