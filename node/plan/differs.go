package plan

import (
	"context"
	"errors"
	"net/netip"

	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Present is what a host has now of what steps do to it. It may list things once
// and answer from that, so it is for one comparison.
type Present interface {
	Link(name string) (link.Link, error)
	HasAddress(l link.Link, p netip.Prefix) (bool, error)
	HasRoute(l link.Link, p netip.Prefix, table int) (bool, error)
	HasThrow(p netip.Prefix, table int) (bool, error)
	HasRule(r rule.Rule) (bool, error)
	Sysctl(name string) (string, error)
	// The next three say in words how a table is not what it was.
	KillSwitchDiffers(link string) ([]string, error)
	GatewayDiffers(link string) ([]string, error)
	FirewallDiffers(t nftables.Table) ([]string, error)
	// DNSDiffers says how name servers are no longer set.
	DNSDiffers(ctx context.Context, l link.Link, c resolver.Change) (string, error)
}

// observed is a Kernel that can be compared with what was done to it.
type observed interface{ present() Present }

// Difference is something that a step did and that is no longer so.
type Difference struct {
	Step Step
	What string // in words, the object first
}

// Differences compares a host with what steps, which were done, did to it. The
// link is that of the steps.
func Differences(ctx context.Context, k Kernel, l link.Link, steps []Step) ([]Difference, error) {
	o, ok := k.(observed)
	if !ok {
		return nil, nil
	}
	var found []Difference
	var errs []error
	p := o.present()
	for _, s := range steps {
		if s.Skip != "" {
			continue
		}
		what, err := operations[s.Op].differs(ctx, p, s, l)
		if err != nil {
			errs = append(errs, err)
		}
		for _, w := range what {
			// Names of chains and comments of rules are whatever others have made them.
			found = append(found, Difference{s, harmless.Line(w)})
		}
	}
	return found, errors.Join(errs...)
}

// differs of an operation that leaves nothing in the kernel that others change.
func neverDiffers(context.Context, Present, Step, link.Link) ([]string, error) { return nil, nil }

// unless returns what is said of something that is not there.
func unless(there bool, err error, what string) ([]string, error) {
	if err != nil || there {
		return nil, err
	}
	return []string{what + " is missing"}, nil
}
