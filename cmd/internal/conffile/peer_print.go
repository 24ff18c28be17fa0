package conffile

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
)

// confText is a configuration in wg-quick's format. It has its secrets.
func confText(c *config.Config) (string, error) {
	var b strings.Builder
	err := c.WriteConf(&b)
	return b.String(), err
}

// writeSecret writes a new file that only its owner can read.
func writeSecret(path, text string) error {
	return safefile.Write(path, safefile.Options{Mode: 0o600, New: true}, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// printConf prints a text with secrets in it.
func printConf(cmd *cobra.Command, text string) error {
	out := cmd.OutOrStdout()
	warnOfOpenFile(cmd, out)
	_, err := io.WriteString(out, text)
	return err
}

func warnOfOpenFile(cmd *cobra.Command, out io.Writer) {
	if f, ok := out.(*os.File); ok && cli.WorldAccessible(f) {
		// What was asked for is printed all the same, so a lost warning is no failure.
		_ = cli.Warn(cmd, "warning: others can read the file that this is written into; -w FILE writes one that they cannot")
	}
}
