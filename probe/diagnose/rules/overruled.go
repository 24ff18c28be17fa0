package rules

import (
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// overruled is the verdict on packets for this host itself that a policy rule ahead of
// table local leads elsewhere; nil if none does, or if they have come to the input hook.
func overruled(p *evidence.Traversal, at probe.Checkpoint, what string) *ruling {
	r := &p.Route
	if r.Overruled == "" || p.Drop != nil || otherwise(p) || p.Passed == "input" || p.Passed == "" && p.Lost == "" {
		return nil
	}
	where := "nowhere (" + r.Kind.String() + ")"
	if r.Kind == evidence.RouteFound {
		where = "out of " + r.Interface
	}
	v := diagnose.Verdict{Code: diagnose.LocalTableBypassed, Checkpoint: at, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("%s, which are for this host itself, are led %s by policy rule %s, which is asked before table local",
			what, where, r.By),
		Evidence: []evidence.Line{
			evidence.Kernel.Decides("netfilter trace: they come in on %s and do not come to the input hook", p.In),
			evidence.Kernel.Decides("for packets that come in on %s: %s", p.In, r.Describe()),
			evidence.Kernel.Decides("table local: %s", r.Overruled)},
		Fix: append(fix.Steps{fix.Note("have table local asked first for this address, and see what the rule is for (ip rule):")},
			fix.Commands(r.LocalFirst)...)}
	if strings.Contains(r.LocalFirst, " del ") {
		v.Fix[0] = fix.Note("nothing comes before priority 0: take the rule away, and add it with a higher number if it is needed")
	}
	return final(v)
}
