package conffile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/schema"
)

// CheckResult is what `wgnode check --json` prints.
type CheckResult struct {
	Schema   schema.Version `json:"schema"`
	File     string         `json:"file"`
	Valid    bool           `json:"valid"`
	Errors   []checkError   `json:"errors"`
	Warnings []string       `json:"warnings"` // what is accepted, and likely not meant
	Hints    []string       `json:"hints"`    // what to do about the errors
	NotRun   []string       `json:"not_run"`  // the keys of commands that print secrets: they were not run
}

// checkError is one error in a configuration.
type checkError struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

func NewCheckCommand() *cobra.Command {
	var json, quiet bool
	cmd := &cobra.Command{
		Use:   "check [CONF|NAME]",
		Short: "Check a configuration file",
		Long: `Check reads a configuration and what it points at, as up would, and says what is
wrong with it: every error with its file, line and key, and what is accepted but
probably a mistake. It looks at nothing else on this host, runs no hooks and no
commands, and needs no privileges beyond reading the file.

Exit status: 0 the file is valid, 1 it is not.`,
		Example: "  wgnode check ./wg0.toml\n  wgnode check wg0 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := naming.FindConfig(args)
			if err != nil {
				return err
			}
			result, err := checkConfig(path)
			if err = cli.ForCommand(cmd, err); err != nil {
				result.Hints = append(result.Hints[:0], cli.Hints(err)...)
			}
			if json {
				if perr := cli.PrintReport(cmd, result, true, nil); perr != nil || err == nil {
					return perr
				}
				return cli.ExitStatus(cli.StatusFailed)
			}
			for _, w := range result.Warnings {
				if werr := cli.Warn(cmd, "warning: %s", w); werr != nil {
					return errors.Join(err, werr)
				}
			}
			for _, place := range result.NotRun {
				if werr := cli.Warn(cmd, "not run: %s", place); werr != nil {
					return errors.Join(err, werr)
				}
			}
			if err != nil || quiet {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", path)
			return err
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not say that it is valid")
	return cmd
}

// checkConfig judges a file. The error is why it is not valid.
func checkConfig(path string) (*CheckResult, error) {
	r := &CheckResult{File: path, Errors: []checkError{}, Warnings: []string{}, Hints: []string{}, NotRun: []string{}}
	cfg, err := config.Read(path)
	if err == nil {
		var commands []string
		if commands, err = cfg.ResolveFiles(); len(commands) > 0 {
			r.NotRun = commands
		}
	}
	if err == nil && cfg.ForStack {
		err = node.CheckStack(cfg)
	}
	if err == nil {
		err = node.CheckFiles(cfg)
	}
	if err == nil {
		r.Warnings = append(append(r.Warnings, cfg.Warnings()...), cfg.Missing()...)
		r.Valid = true
		return r, nil
	}
	err = cli.WithHint(err, naming.KeyHints(err)...)
	var faults config.Errors
	if errors.As(err, &faults) {
		for _, e := range faults {
			r.Errors = append(r.Errors, checkError{e.File, e.Line, e.Key, e.Msg})
		}
	} else {
		for line := range strings.Lines(err.Error()) {
			r.Errors = append(r.Errors, checkError{Message: strings.TrimSuffix(line, "\n")})
		}
	}
	r.Hints = append(r.Hints, cli.Hints(err)...)
	return r, err
}
