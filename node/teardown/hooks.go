package teardown

import (
	"context"
	"errors"
	"io"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/safefile"
)

// RunHooks runs the hooks of one phase, each after a line that shows it. With
// strict the first that fails is the last.
func RunHooks(ctx context.Context, cfg *config.Config, phase hook.Phase, shell hook.Shell, out io.Writer, strict bool) error {
	shell.Config = cfg.Path
	var errs []error
	for i, c := range plan.Hooks(cfg, phase) {
		c = hook.Expand(c, cfg.Name)
		say.Line(out, "[#] %s", c)
		if err := shell.Run(ctx, phase, cfg.Name, c); err != nil {
			errs = append(errs, hook.At(cfg.HookPlace(string(phase), i), err))
			if strict {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// hooksOf returns the configuration whose hooks are due for what a journal
// tells of, nil if none are. It says so if the file is not there to tell.
func hooksOf(j *plan.Journal, out io.Writer) *config.Config {
	if j.Config == "" || !j.WasUp() {
		return nil
	}
	owners := safefile.Mine()
	for _, uid := range j.Owners {
		owners = owners.And(int(uid))
	}
	cfg, err := config.ReadTrusting(j.Config, owners) // hooks need no keys
	if err != nil {
		say.Line(out, "[!] skipped: the PreDown and PostDown hooks of %s: %v", j.Link, err)
		return nil
	}
	cfg.Name = j.Link
	return cfg
}
