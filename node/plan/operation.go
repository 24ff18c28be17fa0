package plan

import (
	"context"
	"errors"
	"fmt"

	"github.com/wgnode/wgnode/node/link"
)

// operation is what an [Op] means.
type operation struct {
	// command and undoCommand word a step, and its undoing, as commands that
	// would do the same. Without undoCommand there is nothing to say: the step
	// goes with the link.
	command, undoCommand func(Step) string
	// do does a step. The one that creates the link fills in l.
	do func(ctx context.Context, r *Runner, s Step, l *link.Link) error
	// undo undoes a step; nil if it goes with the link. An error that wraps
	// link.ErrNotFound or the kernel's errno for it says that there is nothing
	// to undo, one that wraps [ErrInUse] that somebody else has come to need it.
	undo func(r *Runner, s Step, l link.Link) error
	// differs says in words, the object first, what a step did and is no longer
	// so; nothing if all of it is. Others may have changed it, on purpose or not.
	differs func(ctx context.Context, p Present, s Step, l link.Link) ([]string, error)
	// restore does a step again where something of it differs; do if nil.
	restore func(ctx context.Context, r *Runner, s Step, l *link.Link) error
	// stays tells whether anything of a step may be left, so that it needs
	// undoing; nil if it goes with the link.
	stays func(Step, whatIs) bool
	// left is what such a step has made, for people who find it without its node.
	left string
	// together says that steps of this kind that follow each other may be
	// recorded in one writing of the journal, which for thousands of them is
	// the difference between milliseconds and a minute: to undo one that was
	// never done is harmless.
	together bool
	// replaces says that to do such a step where there is one of its family
	// already takes the place of that one.
	replaces bool
	// follows names the kind of steps that such a step must be done again after.
	follows Op
	// shared says that nodes may have the step in common: it is undone by the
	// last of them.
	shared bool
}

var operations = map[Op]operation{
	OpLink:      linkOperation,
	OpConfigure: configureOperation,
	OpAddress:   addressOperation,
	OpUp:        upOperation,
	OpRoute:     routeOperation,
	OpHook:      hookOperation,
	OpDNS:       dnsOperation,
	OpValidMark: validMarkOperation,
	OpMarked:    ruleOperation,
	OpSuppress:  ruleOperation,
	OpFirewall:  firewallOperation,

	OpKillSwitch: killSwitchOperation,
	OpThrow:      throwOperation,
	OpSysctl:     sysctlOperation,
	OpGateway:    gatewayOperation,
}

// always is for what does not depend on the link.
func always(Step, whatIs) bool { return true }

func (r *Runner) do(ctx context.Context, s Step, l *link.Link) error {
	o, ok := operations[s.Op]
	if !ok {
		return errors.New(s.String())
	}
	return o.do(ctx, r, s, l)
}

func (r *Runner) restore(ctx context.Context, s Step, l *link.Link) error {
	if restore := operations[s.Op].restore; restore != nil {
		return restore(ctx, r, s, l)
	}
	return r.do(ctx, s, l)
}

func (r *Runner) undo(s Step, l link.Link) error {
	o, ok := operations[s.Op]
	switch {
	case !ok:
		return fmt.Errorf("undo %s: only the release of wgnode that did it knows how", s)
	case o.undo == nil:
		return nil
	}
	return o.undo(r, s, l)
}
