package diagnosis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/repair"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/fix"
)

// maxOrder bounds what the other end of mend-here reads and says, in bytes.
const maxOrder = 1 << 20

// order is a fix that another host is to apply.
type order struct {
	Interface string    `json:"interface"`
	Code      string    `json:"code"`
	Host      string    `json:"host"` // what the steps call the host that applies them
	Steps     fix.Steps `json:"steps"`
}

// NewMendHereCommand returns the command by which explain --fix --with has the other host
// apply its steps.
func NewMendHereCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "mend-here",
		Short:  "Apply a fix that another host has sent",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.BecomeRoot(cmd); err != nil {
				return err
			}
			var o order
			if err := json.NewDecoder(io.LimitReader(cmd.InOrStdin(), maxOrder)).Decode(&o); err != nil {
				return fmt.Errorf("read the fix to be applied: %w", err)
			}
			ctx, stop := cli.Interrupted(cmd.Context())
			defer stop()
			return cli.PrintReport(cmd, mendHere(ctx, cmd, &o), true, nil)
		},
	}
}

func mendHere(ctx context.Context, cmd *cobra.Command, o *order) *applied {
	plan := repair.Plan(ctx, o.Steps, o.Host)
	a := &applied{Steps: []appliedStep{}}
	for i := range plan {
		if plan[i].Why != "" {
			a.Steps = append(a.Steps, appliedStep{Line: plan[i].Step.Line(), Why: plan[i].Why})
		}
	}
	p := &patient{link: o.Interface, code: o.Code}
	_ = p.applyHere(ctx, cmd, a, repair.Doable(plan)) // it is in a.Error
	return a
}

// applyThere has the other host apply its steps.
func (p *patient) applyThere(ctx context.Context, cmd *cobra.Command, a *applied, steps fix.Steps) error {
	in, err := json.Marshal(order{Interface: p.there.name, Code: p.code, Host: p.thereName, Steps: steps})
	if err != nil {
		return fmt.Errorf("send fix: %w", err)
	}
	out, err := p.runThere(ctx, cmd, in, "mend-here")
	if err != nil {
		return err
	}
	var said applied
	if err := json.Unmarshal(out, &said); err != nil {
		return fmt.Errorf("apply on %s: its answer: %w", p.there.there(), err)
	}
	if said.Error != "" {
		a.Error = said.Error
		return fmt.Errorf("apply on %s: %s", p.there.there(), said.Error)
	}
	say := sayer(cmd)
	for _, s := range said.Steps {
		s.Host = p.thereName
		a.Steps = append(a.Steps, s)
		if s.Why != "" {
			say("left to you on %s: %s (%s)", s.Host, s.Line, s.Why)
		}
	}
	a.there = said.ID
	return nil
}

// undoThere takes back what was applied on the other host.
func (p *patient) undoThere(ctx context.Context, cmd *cobra.Command, a *applied) error {
	if a.there == 0 {
		return nil
	}
	_, err := p.runThere(ctx, cmd, nil, "undo", "--yes", "--id", fmt.Sprint(a.there))
	return err
}

// runThere runs wgnode on the other host, and returns what it prints.
func (p *patient) runThere(ctx context.Context, cmd *cobra.Command, in []byte, args ...string) ([]byte, error) {
	line := p.there.wgnode(args...)
	c := exec.CommandContext(ctx, line[0], line[1:]...)
	var out bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(in), &out, cmd.ErrOrStderr()
	if err := c.Run(); err != nil {
		return nil, cli.WithHint(fmt.Errorf("run wgnode %s on %s: %w", strings.Join(args, " "), p.there.there(), err),
			"is the wgnode there as new as this one?")
	}
	if out.Len() > maxOrder {
		return nil, errors.New("the other host says too much")
	}
	return out.Bytes(), nil
}

// Fixes is where the fixes of this user are kept.
func Fixes() repair.Journal { return repair.In(rundir.Default()) }
