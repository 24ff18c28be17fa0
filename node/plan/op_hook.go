package plan

import (
	"context"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/link"
)

// A hook that ran is not undone: what it did is for the hooks of going down to
// undo, and those run only for an interface that was up.
var hookOperation = operation{
	command: func(s Step) string { return s.Command },
	do: func(ctx context.Context, r *Runner, s Step, _ *link.Link) error {
		if r.ran != nil {
			*r.ran = append(*r.ran, s)
		}
		return hook.At(s.At, r.Shell.Run(ctx, s.Phase, s.Link, s.Command))
	},
	// Only the hook knows what it has changed.
	differs: neverDiffers,
}

// hooks adds the hooks of one phase.
func (b *builder) hooks(phase hook.Phase, commands []string, why string) {
	for n, c := range commands {
		b.add(Step{Op: OpHook, Phase: phase, Command: hook.Expand(c, b.cfg.Name), At: b.cfg.HookPlace(string(phase), n), Why: why})
	}
}

// Hooks returns the commands of one phase.
func Hooks(cfg *config.Config, phase hook.Phase) []string {
	switch i := &cfg.Interface; phase {
	case hook.PreUp:
		return i.PreUp
	case hook.PostUp:
		return i.PostUp
	case hook.PreDown:
		return i.PreDown
	case hook.PostDown:
		return i.PostDown
	}
	return nil
}
