package conffile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
)

func NewConvertCommand() *cobra.Command {
	var c conversion
	cmd := &cobra.Command{
		Use:   "convert CONF|NAME [OUT]",
		Short: "Convert a .conf to a .toml, and back; import other programs' files",
		Long: `Convert reads a configuration in one of two formats and writes it in the other:
wg-quick's .conf, or wgnode's own .toml, which can say more. The name of OUT
chooses the format. Without OUT, or if OUT is -, the other format is written to
standard output.

Convert also reads a keyfile of NetworkManager's (.nmconnection) and a .netdev of
systemd-networkd's, with the .network of its interface, into either; without OUT
into a .toml. What of them has no equivalent is said, with file and line.

Nothing is lost silently. If a .conf cannot say something, convert names each
such key with its line, and writes nothing. Names of peers are kept; in a .conf
they are comments (# Name = X), which wg-quick ignores. Other comments are
dropped, and counted.

OUT is written whole or not at all. A new file has mode 0600; one that --force
replaces keeps its owner and its group's rights. Only --inline runs commands and
reads keys that the file points at.`,
		Example: "  wgnode convert wg0 wg0.toml\n  wgnode convert wg0.toml\n  wgnode convert --inline --force wg0.toml wg0.conf\n" +
			"  wgnode convert /etc/systemd/network/50-wg0.netdev /etc/wireguard/wg0.toml",
		RunE: func(cmd *cobra.Command, args []string) error {
			c.out = "-"
			if len(args) > 1 {
				c.out = args[1]
			}
			if c.out != "-" && !hasFormat(c.out) {
				return cli.NewUsageError(cmd, fmt.Errorf("%q ends neither in .conf nor in .toml", c.out))
			}
			return c.run(cmd, args[0])
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"conf", "toml"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return naming.CompleteConfigs(cmd, args, toComplete)
		},
	}
	cmd.Flags().BoolVar(&c.force, "force", false, "replace OUT if it exists")
	cmd.Flags().BoolVar(&c.inline, "inline", false, "write keys and shared peers themselves, not where they are kept")
	return cmd
}

func hasFormat(path string) bool {
	return slices.Contains([]string{".conf", ".toml"}, filepath.Ext(path))
}

// conversion is what a command line of convert asks for.
type conversion struct {
	out           string // "-" for standard output
	force, inline bool
}

func (c *conversion) run(cmd *cobra.Command, arg string) error {
	if cli.FileExists(arg) && config.IsForeign(arg) {
		return c.foreign(cmd, arg)
	}
	path, err := naming.FindConfig([]string{arg})
	if err != nil {
		return err
	}
	// Without --inline nothing of it is done, so that it may be anybody's.
	read := config.Inspect
	if c.inline {
		read = config.Read
	}
	cfg, err := read(path)
	if err != nil {
		return err
	}
	if c.inline {
		if err := inline(cmd, cfg); err != nil {
			return err
		}
	}
	fromTOML := filepath.Ext(path) == ".toml"
	toTOML := filepath.Ext(c.out) == ".toml" || c.out == "-" && !fromTOML
	return c.into(cmd, cfg, path, toTOML, fromTOML && !toTOML)
}

// inline has cfg say itself what it only points at.
func inline(cmd *cobra.Command, cfg *config.Config) error {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	if err := cfg.Resolve(ctx); err != nil {
		return cli.WithHint(err, "nothing was written")
	}
	cfg.Inline()
	return nil
}

// foreign converts a file of NetworkManager's or networkd's.
func (c *conversion) foreign(cmd *cobra.Command, path string) error {
	f, err := config.ReadForeign(path, c.inline)
	if err != nil {
		return err
	}
	if c.inline {
		if err := inline(cmd, f.Config); err != nil {
			return err
		}
	}
	toTOML := filepath.Ext(c.out) != ".conf"
	if err := c.into(cmd, f.Config, path, toTOML, !toTOML); err != nil {
		return err
	}
	for _, e := range f.Unsaid {
		if err := cli.Warn(cmd, "%s", e); err != nil {
			return nil // what is written is right, whether the note can be shown or not
		}
	}
	_ = cli.Warn(cmd, "so that not both bring %s up, take it from %s: %s", f.Config.Name, f.Program, f.Release())
	return nil
}

// into writes cfg, which is from path. Only a .conf of a certain name has its interface.
func (c *conversion) into(cmd *cobra.Command, cfg *config.Config, path string, toTOML, named bool) error {
	if !toTOML {
		if err := sayableInConf(cfg); err != nil {
			return unsaid(err)
		}
	}
	note := func(format string, args ...any) {
		// What is written is right, whether the note can be shown or not.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	}
	if named {
		want := cfg.Name + ".conf"
		switch {
		case c.out != "-" && filepath.Base(c.out) != want:
			return cli.WithHint(fmt.Errorf("a .conf is named after its interface, which %s calls %s", path, cfg.Name),
				"name the file "+want+"; nothing was written")
		case c.out == "-" && filepath.Base(path) != cfg.Name+".toml" && filepath.Ext(path) == ".toml":
			note("[!] the interface is called %s only as long as the file is %s", cfg.Name, want)
		}
	}
	for _, w := range cfg.Warnings() {
		note("Warning: %s", w)
	}
	if err := c.write(cmd, cfg, toTOML); err != nil {
		return unsaid(err)
	}
	switch n := cfg.Comments(); {
	case n == 1:
		note("[!] 1 comment of %s dropped", path)
	case n > 1:
		note("[!] %d comments of %s dropped", n, path)
	}
	return nil
}

func (c *conversion) write(cmd *cobra.Command, cfg *config.Config, toTOML bool) error {
	switch {
	case c.out == "-" && toTOML:
		return cfg.WriteTOML(cmd.OutOrStdout())
	case c.out == "-":
		return cfg.WriteConf(cmd.OutOrStdout())
	}
	err := cfg.WriteFile(c.out, c.force)
	if errors.Is(err, fs.ErrExist) {
		return cli.WithHint(err, "--force replaces it; nothing was written")
	}
	return err
}

// unsaid adds to an error, for what the other format cannot say, what to type.
func unsaid(err error) error {
	beyond, ok := errors.AsType[config.Errors](err)
	if !ok {
		return err
	}
	advice := []string{"nothing was written"}
	if slices.ContainsFunc(beyond, func(e *config.Error) bool {
		return e.Key == "WGConfig" || e.Key == "peers_file" || strings.Contains(e.Key, "_key_")
	}) {
		advice = append(advice, "--inline writes keys, shared peers and the file of WGConfig themselves")
	}
	return cli.WithHint(err, advice...)
}

// sayableInConf is the error for what of cfg a .conf cannot say.
func sayableInConf(cfg *config.Config) error {
	beyond := cfg.BeyondConf()
	if len(beyond) == 0 {
		return nil
	}
	return config.Errors(beyond)
}
