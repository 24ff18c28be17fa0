package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
)

// plannedStep is one step of `up --dry-run --json`.
type plannedStep struct {
	Op      string `json:"op"`
	Command string `json:"command"`
	Why     string `json:"why,omitempty"`
	Skipped string `json:"skipped,omitempty"` // why this host cannot do it
}

// dryRun prints what up would do on this host as it is now.
func dryRun(cmd *cobra.Command, path string, f *upFlags) error {
	ctx, stop := interrupted(cmd.Context())
	defer stop()
	cfg, err := loadConfig(ctx, path)
	if err != nil {
		return err
	}
	steps, err := node.Plan(ctx, cfg, node.Options{Out: cmd.ErrOrStderr()})
	if err != nil {
		return explainRefusal(err, false)
	}
	out := cmd.OutOrStdout()
	if f.json {
		planned := []plannedStep{}
		for _, s := range steps {
			planned = append(planned, plannedStep{string(s.Op), s.String(), s.Why, s.Skip})
		}
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(planned)
	}
	var errs []error
	for _, s := range steps {
		line := s.Line(f.explain)
		_, err := fmt.Fprintln(out, line)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
