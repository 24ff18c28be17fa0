package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// Parts is a filter that may ask for events and for what the kernel drops, taken apart.
type Parts struct {
	// Events are the words of a filter of events, for [Compile], and Drops those of one of
	// packets that the kernel has dropped, for [CompileDrops]. None: all.
	Events, Drops []string
	// NoEvents and NoDrops say that there is none that the words could match.
	NoEvents, NoDrops bool
	// Kernel says that they name a reason of the kernel's.
	Kernel bool

	reasons, ofEvents, ofDrops bool // a term wants reasons: of either, of events, of drops
	verdicts, dropped          bool // a term wants verdicts; one of them is "dropped"
}

// Split takes apart a filter in which the reasons may be of both, as in "tcp reason
// no-endpoint,TC_EGRESS": names of the kernel's have no hyphens. What the kernel drops passes
// no seam, and has the verdict dropped. r and reasons are as for [CompileDrops].
func Split(args []string, r Resolver, reasons []string) (*Parts, error) {
	parts := &Parts{}
	p := parser{resolve: r, kernel: &kernelReasons{known: reasons}, parts: parts}
	if _, err := p.compile(args); err != nil {
		return nil, err
	}
	parts.NoEvents = parts.NoEvents || parts.reasons && !parts.ofEvents
	parts.NoDrops = parts.NoDrops || parts.reasons && !parts.ofDrops || parts.verdicts && !parts.dropped
	return parts, nil
}

// Both is a filter of events and of what the kernel drops, compiled. A nil *Both matches all.
type Both struct {
	parts  *Parts
	events *Filter
	drops  *Drops
}

// CompileBoth is [Compile] of words that [Split] takes.
func CompileBoth(args []string, r Resolver, reasons []string) (*Both, error) {
	b := &Both{}
	var err error
	if b.parts, err = Split(args, r, reasons); err != nil {
		return nil, err
	}
	if b.events, err = Compile(b.parts.Events, r); err != nil {
		return nil, err
	}
	if b.drops, err = CompileDrops(b.parts.Drops, r, reasons); err != nil {
		return nil, err
	}
	return b, nil
}

// Match reports whether f matches an event.
func (f *Both) Match(e *probe.Event) bool {
	return f == nil || !f.parts.NoEvents && f.events.Match(e)
}

// Events is Match, nil if that is true of all.
func (f *Both) Events() func(*probe.Event) bool {
	if f == nil {
		return nil
	}
	return f.Match
}

// MatchDrop reports whether f matches what the kernel has dropped for a reason.
func (f *Both) MatchDrop(e *probe.Event, reason string) bool {
	return f == nil || !f.parts.NoDrops && f.drops.Match(e, reason)
}

// NoDrops reports whether f matches nothing that the kernel drops.
func (f *Both) NoDrops() bool { return f != nil && f.parts.NoDrops }

// take adds the term that ends in front of p.pos.
func (f *Parts) take(p *parser, k termKey, not bool, word string) error {
	if k.what == whatReason {
		return f.takeReasons(p.kernel, not, word)
	}
	if err := p.add(k, not, word); err != nil {
		return err
	}
	words := p.words[p.begun:p.pos]
	f.Events = append(f.Events, words...)
	switch {
	case k.what == whatVerdict:
		dropped := slices.Contains(strings.Split(word, ","), "dropped")
		f.NoDrops = f.NoDrops || not && dropped
		f.verdicts, f.dropped = f.verdicts || !not, f.dropped || !not && dropped
	case isOfDrops(k.what):
		f.Drops = append(f.Drops, words...)
	default:
		f.NoDrops = f.NoDrops || !not
	}
	return nil
}

func (f *Parts) takeReasons(kernel *kernelReasons, not bool, word string) error {
	var events, drops []string
	for _, s := range strings.Split(word, ",") {
		if _, ok := probe.ParseReason(s); ok {
			events = append(events, s)
		} else if name, ok := kernel.name(s); ok {
			drops = append(drops, name)
		} else {
			return fmt.Errorf("unknown reason %q: %swant %s, or one of the kernel's, such as NETFILTER_DROP or TC_EGRESS",
				s, didYouMean(s, append(whatReason.names(), kernel.known...)), whatReason.want())
		}
	}
	term := func(names []string) []string {
		if len(names) == 0 {
			return nil
		}
		words := []string{"reason", strings.Join(names, ",")}
		if not {
			words = append([]string{"not"}, words...)
		}
		return words
	}
	f.Events, f.Drops = append(f.Events, term(events)...), append(f.Drops, term(drops)...)
	f.Kernel = f.Kernel || len(drops) > 0
	if !not {
		f.reasons = true
		f.ofEvents, f.ofDrops = f.ofEvents || len(events) > 0, f.ofDrops || len(drops) > 0
	}
	return nil
}

// CompleteBoth is [Complete] for a filter that [Split] takes.
func CompleteBoth(args []string, toComplete string, reasons []string) []string {
	words := Complete(args, toComplete)
	for _, w := range CompleteDrops(args, toComplete, reasons) {
		if !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return words
}
