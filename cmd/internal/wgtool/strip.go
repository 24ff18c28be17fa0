package wgtool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
)

func NewStripCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "strip CONF|NAME",
		Short: "Print a configuration without wg-quick's own keys",
		Long: `Prints what is left of a file for setconf, addconf and syncconf, with the output
and the exit status of wg-quick(8)'s strip. NAME means /etc/wireguard/NAME.conf,
and where there is none NAME.toml. What a .toml says is printed as wg(8) has it,
including keys and peers that it refers to. The output holds the private
key and the preshared keys.`,
		Example: "  wgnode strip wg0 | wgnode syncconf wg0 /dev/stdin",
		Args:    cobra.ArbitraryArgs, // wg-quick's own answer to wrong arguments has status 1
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return failLikeWg(cmd.ErrOrStderr(), "Usage: wgnode strip [ CONFIG_FILE | INTERFACE ]", "")
			}
			if path, err := config.Find(args[0]); err == nil && strings.HasSuffix(path, ".toml") {
				return stripTOML(cmd, path)
			}
			return strip(cmd, confFile(args[0]))
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
}

// stripTOML is for what wg-quick does not know.
func stripTOML(cmd *cobra.Command, path string) error {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	cfg, err := naming.LoadConfig(ctx, path)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings() {
		// The file is printed all the same, so a lost warning is no failure.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", w)
	}
	return cfg.WG().WriteConf(cmd.OutOrStdout())
}

// quickFile is a path that wg-quick takes.
var quickFile = regexp.MustCompile(`(^|/)[a-zA-Z0-9_=+.-]{1,15}\.conf$`)

// confFile is the path of the .conf that a word means: that of a file in this folder
// if wg-quick's reading of the word leads to none.
func confFile(word string) string {
	if path, err := config.Find(word); err == nil {
		return path
	}
	if config.ValidName(word) {
		return filepath.Join(config.Dir, word+".conf")
	}
	return word
}

// checkQuick refuses, in wg-quick's words, what is not such a path.
func checkQuick(path string) error {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &quickError{fmt.Sprintf("`%s' does not exist", path), err}
	case err != nil:
		return err
	case !quickFile.MatchString(path):
		return &quickError{"The config file must be a valid interface name, followed by .conf", nil}
	}
	return nil
}

// quickError is wg-quick's words about a file.
type quickError struct {
	words string
	err   error
}

func (e *quickError) Error() string { return e.words }
func (e *quickError) Unwrap() error { return e.err }

func strip(cmd *cobra.Command, path string) error {
	if err := checkQuick(path); err != nil {
		return err
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written: its error says nothing
	open, err := config.WorldAccessible(f)
	if err != nil {
		return err
	}
	if open {
		// The file is printed all the same, so a lost warning is no failure.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Warning: `%s' is world accessible\n", path)
	}
	warnOfOthers(cmd.ErrOrStderr(), path)
	left, err := config.Strip(f, path)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(left)
	return err
}
