package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
)

// plannedStep is one step of `up --dry-run --json`.
type plannedStep struct {
	Op      string `json:"op"`
	Command string `json:"command"`
	Why     string `json:"why,omitempty"`
	Skipped string `json:"skipped,omitempty"` // why this host cannot do it
}

// dryRun prints what up would do on this host as it is now. It runs no command of
// the configuration's: neither hooks nor those that print keys, without which
// nothing is decided but which of the shared peers this host itself is.
func dryRun(cmd *cobra.Command, path string, f *upFlags) error {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	cfg, err := config.Read(path)
	var commands []string
	if err == nil {
		commands, err = cfg.ResolveFiles()
	}
	if err != nil {
		return cli.WithHint(err, naming.KeyHints(err)...)
	}
	for _, place := range commands {
		// The steps are right, whether the note can be shown or not.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "[!] not run: %s\n", place)
	}
	if len(commands) > 0 && cfg.Interface.PeersFile != "" && cfg.Interface.PrivateKey.IsZero() {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(),
			"[!] without the private key, wgnode cannot know which peer of peers_file is this host; the routes include its AllowedIPs")
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
