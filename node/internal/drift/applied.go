// Package drift compares what a node set on this host with what is there. It puts nothing back: what
// protects is package guard's, and a route that somebody has deleted may be gone on purpose.
package drift

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/probe/diagnose/finding"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Applied is what the node did to this host. Its methods are safe for concurrent use.
type Applied struct {
	mu    sync.Mutex
	link  link.Link
	steps []plan.Step
	hooks map[string]bool      // what hooks changed of it on the way up, on purpose
	since map[string]time.Time // when a difference was noticed
}

// Set takes note of the steps that were done, for a link.
func (a *Applied) Set(l link.Link, steps []plan.Step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.link, a.steps, a.since = l, slices.Clone(steps), nil
}

// SetMTU takes note of an MTU that the node has adapted.
func (a *Applied) SetMTU(mtu int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.steps {
		if a.steps[i].Op == plan.OpUp {
			a.steps[i].MTU = mtu
		}
	}
}

// AcceptHooks takes what differs just after hooks have run for what they are
// there for, but for a kill switch.
func (a *Applied) AcceptHooks(ctx context.Context, k plan.Kernel, cfg *config.Config) error {
	if len(plan.Hooks(cfg, hook.PreUp))+len(plan.Hooks(cfg, hook.PostUp)) == 0 {
		return nil
	}
	differ, err := a.differences(ctx, k)
	if errors.Is(err, link.ErrNotFound) {
		return fmt.Errorf("bring up %s: %w", cfg.Name, plan.ErrLinkGone)
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hooks = make(map[string]bool)
	for _, d := range differ {
		a.hooks[d.What] = d.Step.Op != plan.OpKillSwitch
	}
	return nil
}

// IsHooks reports whether something differs because hooks wanted it so.
func (a *Applied) IsHooks(d plan.Difference) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hooks[d.What]
}

func (a *Applied) differences(ctx context.Context, k plan.Kernel) ([]plan.Difference, error) {
	a.mu.Lock()
	l, steps := a.link, slices.Clone(a.steps)
	a.mu.Unlock()
	return plan.Differences(ctx, k, l, steps)
}

// change is a difference with what is known of it.
type change struct {
	plan.Difference
	since time.Time // when it was noticed
	fresh bool      // it was not noticed before
}

// look compares the host with what the node did. It remembers since when
// something differs.
func (a *Applied) look(ctx context.Context, k plan.Kernel) ([]change, error) {
	differ, err := a.differences(ctx, k)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	since, now := make(map[string]time.Time), time.Now()
	var changes []change
	for _, d := range differ {
		if a.hooks[d.What] {
			continue
		}
		at, known := a.since[d.What]
		if !known {
			at = now
		}
		since[d.What] = at
		changes = append(changes, change{d, at, !known})
	}
	a.since = since
	return changes, nil
}

// Culprit is the latest change of a table by another program.
type Culprit func(table string) nftables.Change

// Changed is what a doctor is told of what differs.
func (a *Applied) Changed(ctx context.Context, k plan.Kernel, who Culprit) ([]finding.Changed, error) {
	changes, err := a.look(ctx, k)
	var found []finding.Changed
	for _, c := range changes {
		found = append(found, finding.Changed{What: c.What, Since: c.since, By: suspect(c.Step, who),
			Protects: protects(c.Step), DNS: c.Step.Op == plan.OpDNS})
	}
	return found, err
}

// protects reports whether a step keeps packets in, or others out.
func protects(s plan.Step) bool { return s.Op == plan.OpKillSwitch || s.Op == plan.OpFirewall }

// suspect says who has changed, or could have changed, what a step did.
func suspect(s plan.Step, who Culprit) string {
	if table := s.TableName(); table != "" {
		by := who(table)
		if by.Program == "" {
			return ""
		}
		return fmt.Sprintf("%s (process %d) did it", harmless.Line(by.Program), by.PID)
	}
	option := ""
	switch s.Op {
	case plan.OpMarked, plan.OpSuppress:
		option = "ManageForeignRoutingPolicyRules"
	case plan.OpRoute, plan.OpThrow:
		option = "ManageForeignRoutes"
	}
	if _, err := os.Stat("/run/systemd/netif"); option == "" || err != nil {
		return ""
	}
	return "systemd-networkd may do so when it starts again, unless networkd.conf says " + option + "=no"
}
