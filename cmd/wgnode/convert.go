package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/config"
)

func newConvertCommand() *cobra.Command {
	var c conversion
	cmd := &cobra.Command{
		Use:   "convert CONF|NAME [OUT]",
		Short: "Turn a .conf into a .toml, and back",
		Long: `Convert reads a configuration in one of the two formats and writes it in the
other: wg-quick's .conf, or wgnode's own .toml, which has a type for each value
and can also say what a .conf cannot. OUT says by its name in which; without OUT,
or if it is -, standard output gets the one that CONF is not in.

Nothing gets lost silently. What a .conf cannot say is an error that names each
key and its line, and nothing is written. Names of peers are kept, in a .conf as
comments (# Name = X) that wg-quick takes no notice of; how many other comments
are not in OUT is told.

OUT is written whole or not at all. A new file has mode 0600; one that --force
replaces keeps its owner and what its group may do. Neither commands are run nor
keys read from elsewhere, but with --inline.`,
		Example: "  wgnode convert wg0 wg0.toml\n  wgnode convert wg0.toml\n  wgnode convert --inline --force wg0.toml wg0.conf",
		RunE: func(cmd *cobra.Command, args []string) error {
			c.out = "-"
			if len(args) > 1 {
				c.out = args[1]
			}
			if c.out != "-" && !hasFormat(c.out) {
				return newUsageError(cmd, fmt.Errorf("%q ends neither in .conf nor in .toml", c.out))
			}
			return c.run(cmd, args[0])
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"conf", "toml"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return completeConfigs(cmd, args, toComplete)
		},
	}
	cmd.Flags().BoolVar(&c.force, "force", false, "replace OUT if it is there")
	cmd.Flags().BoolVar(&c.inline, "inline", false, "write keys and shared peers themselves, not where they are")
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
	path, err := findConfig([]string{arg})
	if err != nil {
		return err
	}
	cfg, err := config.Read(path)
	if err != nil {
		return err
	}
	if c.inline {
		ctx, stop := interrupted(cmd.Context())
		defer stop()
		if err := cfg.Resolve(ctx); err != nil {
			return withHint(err, "nothing was written")
		}
		cfg.Inline()
	}
	fromTOML := filepath.Ext(path) == ".toml"
	toTOML := filepath.Ext(c.out) == ".toml" || c.out == "-" && !fromTOML
	if !toTOML {
		if err := sayableInConf(cfg); err != nil {
			return unsaid(err)
		}
	}
	note := func(format string, args ...any) {
		// What is written is right, whether the note can be shown or not.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	}
	if fromTOML && !toTOML {
		want := cfg.Name + ".conf"
		switch {
		case c.out != "-" && filepath.Base(c.out) != want:
			return withHint(fmt.Errorf("a .conf is named after its interface, which %s calls %s", path, cfg.Name), "name the file "+want+"; nothing was written")
		case c.out == "-" && filepath.Base(path) != cfg.Name+".toml":
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
		return withHint(err, "--force replaces it; nothing was written")
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
	return withHint(err, advice...)
}

// sayableInConf is the error for what of cfg a .conf cannot say.
func sayableInConf(cfg *config.Config) error {
	beyond := cfg.BeyondConf()
	if len(beyond) == 0 {
		return nil
	}
	return config.Errors(beyond)
}
