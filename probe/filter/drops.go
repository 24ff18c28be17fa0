package filter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// Drops is a filter of packets that the kernel has dropped, in the same language. Where a
// key asks for what headers do not say (checkpoint, seam, direction, verdict) it is refused,
// and reason is the kernel's: "reason TC_EGRESS,TC_INGRESS", or "tc_egress" alone.
type Drops struct {
	filter  *Filter
	reasons []reasonTest
}

// reasonTest is what the words of one term ask for.
type reasonTest struct {
	names []string
	want  bool
}

// Match reports whether f matches a packet with the headers of e that was dropped for
// that reason. A nil *Drops matches all.
func (f *Drops) Match(e *probe.Event, reason string) bool {
	if f == nil {
		return true
	}
	for _, t := range f.reasons {
		if slices.Contains(t.names, reason) != t.want {
			return false
		}
	}
	return f.filter.Match(e)
}

// CompileDrops is [Compile] for packets that the kernel has dropped. reasons are the names
// that this kernel has; of a kernel that does not tell, any name is taken.
func CompileDrops(args []string, r Resolver, reasons []string) (*Drops, error) {
	p := parser{resolve: r, kernel: &kernelReasons{known: reasons}}
	f, err := p.compile(args)
	if err != nil {
		return nil, err
	}
	return &Drops{f, p.kernel.tests}, nil
}

// CompleteDrops is [Complete] for the same language.
func CompleteDrops(args []string, toComplete string, reasons []string) []string {
	var words []string
	for _, w := range Complete(args, toComplete) {
		last := w[strings.LastIndexByte(w, ',')+1:]
		if key, ok := keyNamed(last); ok && isOfDrops(key) {
			words = append(words, w)
		} else if key, isName := keyOfName(last); !ok && (!isName || isOfDrops(key) && key != whatReason) {
			words = append(words, w)
		}
	}
	if at := scan(args); at.value != whatReason && (at.value != 0 || at.side || at.outer) {
		return words
	}
	list, last := "", toComplete
	if i := strings.LastIndexByte(toComplete, ','); i >= 0 {
		list, last = toComplete[:i+1], toComplete[i+1:]
	}
	for _, name := range reasons {
		if len(name) >= len(last) && strings.EqualFold(name[:len(last)], last) {
			words = append(words, list+name)
		}
	}
	return words
}

// isOfDrops reports whether a key asks for what the headers of a packet say.
func isOfDrops(w what) bool {
	return !slices.Contains([]what{whatCheckpoint, whatSeam, whatDirection, whatVerdict}, w)
}

// kernelReasons are terms with the kernel's reasons.
type kernelReasons struct {
	known []string
	tests []reasonTest
}

var reasonName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// name returns a reason as the kernel writes it.
func (k *kernelReasons) name(word string) (string, bool) {
	name := strings.ToUpper(word)
	if len(k.known) > 0 {
		return name, slices.Contains(k.known, name)
	}
	return name, reasonName.MatchString(name) && strings.Contains(name, "_")
}

// takes refuses the keys that ask for something else.
func (k *kernelReasons) takes(w what) error {
	if !isOfDrops(w) {
		return fmt.Errorf("a packet that the kernel has dropped has no %s: %q is for `wgnode watch`", w, w)
	}
	return nil
}

// add adds the reasons of word.
func (k *kernelReasons) add(not bool, word string) error {
	var names []string
	for _, s := range strings.Split(word, ",") {
		name, ok := k.name(s)
		if !ok && (len(k.known) > 0 || !reasonName.MatchString(name)) {
			return fmt.Errorf("unknown reason %q: %swant one of the kernel's, such as NETFILTER_DROP or TC_EGRESS",
				s, didYouMean(s, k.known))
		}
		names = append(names, name)
	}
	for i := range k.tests {
		if k.tests[i].want != not {
			k.tests[i].names = append(k.tests[i].names, names...)
			return nil
		}
	}
	k.tests = append(k.tests, reasonTest{names, !not})
	return nil
}
