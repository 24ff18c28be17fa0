package finding

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
)

// mostChanged is how many changes are named; more cannot be taken in.
const mostChanged = 5

// notAsApplied tells what of the node's work on this host others have changed:
// first what protects, then the rest. Of name servers another finding says more,
// where there is one.
func notAsApplied(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	dnsSaid := len(dnsNotApplied(f)) > 0
	for _, protects := range []bool{true, false} {
		changed := slices.DeleteFunc(slices.Clone(f.Changed), func(c Changed) bool {
			return c.Protects != protects || c.DNS && dnsSaid
		})
		if len(changed) == 0 {
			continue
		}
		found = append(found, diagnose.Finding{
			Summary: f.changes(changed, protects),
			Fix:     fix.Steps{fix.Note("put it back:"), fix.Command("wgnode reload %s", f.Interface)}})
	}
	return found
}

// unapplied tells of a file that was changed since it was applied.
func unapplied(f *Facts) []diagnose.Finding {
	if len(f.Unapplied) == 0 {
		return nil
	}
	named := f.Unapplied[:min(len(f.Unapplied), mostChanged)]
	text, apply := "%s was changed since it was applied: it has %s, which %s has not", fix.Steps{fix.Command("wgnode reload %s", f.Interface)}
	if f.OfKernel {
		text, apply = "%s has %s, which %s lacks: one of them was changed since it was applied", fix.Apply(f.Interface, f.Config)
	}
	text = fmt.Sprintf(text, f.Config, strings.Join(named, ", "), f.Interface)
	if more := len(f.Unapplied) - len(named); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return []diagnose.Finding{{Summary: text,
		Fix: append(fix.Steps{fix.Note("apply it:")}, apply...)}}
}

func (f *Facts) changes(changed []Changed, protects bool) string {
	var what, by []string
	var since time.Time
	for i, c := range changed {
		if i < mostChanged {
			what = append(what, c.What)
		}
		if c.By != "" && !slices.Contains(by, c.By) {
			by = append(by, c.By)
		}
		if !c.Since.IsZero() && (since.IsZero() || c.Since.Before(since)) {
			since = c.Since
		}
	}
	text := fmt.Sprintf("another program changed what %s had set on this host: %s", f.Interface, strings.Join(what, "; "))
	if more := len(changed) - mostChanged; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if !since.IsZero() {
		text += fmt.Sprintf(" (since %s)", since.Format(time.DateTime))
	}
	if len(by) > 0 {
		text += "; " + strings.Join(by, ", ")
	}
	if protects {
		text += "; meanwhile it does not protect this host"
	}
	return text
}
