package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// facts are those of package diagnose, with the questions that rules ask of them.
type facts struct{ *diagnose.Facts }

// Judge finds the verdict that the facts support at time now. It reports
// settled if more of the same would not change it; otherwise it is what can be
// said so far, and is the verdict if there is no more time.
func Judge(of *diagnose.Facts, now time.Time) (v diagnose.Verdict, settled bool) {
	f := facts{of}
	v, settled = f.judge(now)
	if f.Onward != nil && f.Flow.Seen[probe.A1] != nil && v.Code == diagnose.NoReplyFromDestination {
		v, settled = facts{f.Onward}.judge(now)
	}
	v.Weigh()
	if !v.Certain && (v.Code != diagnose.Idle || f.Flow != nil && f.Flow.Seen[probe.A1] == nil) {
		f.blind(&v)
	}
	if f.Changed != "" && !v.Healthy() && v.Code != diagnose.ConnectionRefused {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s: it has been changed since", f.Changed))
		v.Fix = slices.Concat(fix.Steps{fix.Note("restore the configured state:")}, f.apply(), fix.Steps{fix.Note("or:")}, v.Fix)
	}
	f.unapplied(&v)
	return v, settled
}

// unapplied says where the configuration's file, as it is now, is otherwise than the tunnel,
// if that can be why: then to apply it comes first.
func (f facts) unapplied(v *diagnose.Verdict) {
	var said []evidence.Line
	why := "the file has been changed since it was applied"
	if f.Level.Kernel() {
		why = "the file or the device has been changed since it was applied"
	}
	for i := range f.Unapplied {
		if u := &f.Unapplied[i]; u.Explains(v.Code) {
			said = append(said, evidence.Kernel.Says("%s, and %s does not: %s", u.Text, f.Interface, why))
		}
	}
	if len(said) == 0 {
		return
	}
	v.Evidence = append(v.Evidence, said...)
	v.Fix = slices.Concat(fix.Steps{fix.Note("apply the file as it is now:")}, f.apply(),
		fix.Steps{fix.Note("if that does not help:")}, v.Fix)
}

// apply is how the configuration's file is applied.
func (f facts) apply() fix.Steps {
	if f.Level.Kernel() {
		return fix.Apply(f.Interface, f.Config)
	}
	return fix.Steps{fix.Command("wgnode reload %s", f.Interface)}
}

func (f facts) judge(now time.Time) (v diagnose.Verdict, settled bool) {
	if _, r := f.first(now); r != nil {
		return r.Verdict, r.settled
	}
	return f.idle(now), false
}

// first is the first rule that finds something, and what; nil if none does.
func (f facts) first(now time.Time) (*rule, *ruling) {
	rules := ordered[viewOf(f)]
	for i := range rules {
		if r := rules[i].find(f, now); r != nil {
			return &rules[i], r
		}
	}
	return nil, nil
}

func (f facts) idle(now time.Time) diagnose.Verdict {
	if f.Flow != nil && f.Flow.Seen[probe.A1] != nil {
		return diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere,
			Summary: fmt.Sprintf("packets to %s entered the tunnel; the time was too short to say what becomes of them", f.target())}
	}
	if f.Flow != nil {
		v := diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere,
			Summary:  "no matching packet was seen",
			Evidence: []evidence.Line{evidence.Inferred.Says("no packet to %s came out of %s or entered it", f.target(), f.Interface)},
			Fix:      fix.Steps{fix.Note("on the host that asks, while this is watched:"), f.askingCommand()}}
		if f.Side == probe.SideB {
			f.knocked(&v)
		}
		return v
	}
	why := "no handshake was attempted"
	if f.Peer != nil && f.Peer.Handshaking(now) {
		why = "the handshake that has begun is not complete yet"
	}
	v := diagnose.Verdict{Code: diagnose.Idle, Where: diagnose.WhereHere}
	if f.Level.Kernel() && !f.Peer.Handshaking(now) {
		why, v.Fix = f.kernelIdle()
	}
	v.Summary = fmt.Sprintf("no session with %s, and %s", f.Peer.Label(), why)
	return v
}
