package filter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
)

// what is what a term asks about. The order is that of the canonical form.
type what uint8

const (
	whatPeer what = iota + 1
	whatCheckpoint
	whatSeam
	whatDirection
	whatKind
	whatVerdict
	whatReason
	whatProto
	whatHost
	whatNet
	whatPort
	numWhats
)

var whatNames = [numWhats]string{"", "peer", "checkpoint", "seam", "direction", "kind", "verdict",
	"reason", "proto", "host", "net", "port"}

// nameKeys are the keys whose values are names, and may stand without them.
var nameKeys = []what{whatCheckpoint, whatSeam, whatDirection, whatKind, whatVerdict,
	whatReason, whatProto}

func (w what) String() string { return whatNames[w] }

// isAddress reports whether w is about addresses or ports, of which there are
// several in an event.
func (w what) isAddress() bool { return w >= whatHost }

// want says in an error what the value of w is.
func (w what) want() string {
	switch w {
	case whatPeer:
		return "a name or public key"
	case whatHost:
		return "an IP address"
	case whatNet:
		return "a prefix such as 10.0.0.0/8"
	case whatPort:
		return "a port or a range such as 1000-2000"
	case whatProto:
		return "a number from 1 to 255, or one of " + listNames(w.names())
	}
	return "one of " + listNames(w.names())
}

// names returns the names that are values of w.
func (w what) names() []string {
	seams, checkpoints, kinds, reasons := probe.Names()
	switch w {
	case whatCheckpoint:
		return checkpoints
	case whatSeam:
		return seams
	case whatDirection:
		return directions
	case whatKind:
		return append(slices.Clone(kinds), "handshake")
	case whatVerdict:
		return verdicts
	case whatReason:
		return reasons
	case whatProto:
		return protoNames()
	}
	return nil
}

// The names that have no table of their own in package probe.
var directions, verdicts = []string{"in", "out"}, []string{"passed", "dropped"}

// keyNamed returns the key whose word is s.
func keyNamed(s string) (what, bool) {
	i := slices.Index(whatNames[1:], s)
	return what(i + 1), i >= 0
}

// keyOfName returns the key that name is a value of. No name is that of two.
func keyOfName(name string) (what, bool) {
	for _, w := range nameKeys {
		if slices.Contains(w.names(), name) {
			return w, true
		}
	}
	return 0, false
}

// keyWords are the words that begin a term with a value of its own.
func keyWords() []string {
	return append(slices.Clone(whatNames[1:]), "src", "dst", "outer", "not")
}

// firstWords are all words that a term can begin with, addresses apart.
func firstWords() []string {
	words := keyWords()
	for _, w := range nameKeys {
		words = append(words, w.names()...)
	}
	return words
}

// side chooses an end of a packet's way.
type side uint8

const (
	sideBoth side = iota // either end
	sideSrc
	sideDst
)

// termKey is the key of a term, with what went before it.
type termKey struct {
	outer bool
	side  side
	what  what
}

func (k termKey) String() string {
	var words []string
	if k.outer {
		words = append(words, "outer")
	}
	switch k.side {
	case sideSrc:
		words = append(words, "src")
	case sideDst:
		words = append(words, "dst")
	}
	if k.what != 0 {
		words = append(words, k.what.String())
	}
	return strings.Join(words, " ")
}

// compareTerms puts terms in canonical order: those with not at the end.
func compareTerms(a, b term) int {
	if a.not != b.not {
		if a.not {
			return 1
		}
		return -1
	}
	if a.key.outer != b.key.outer {
		if a.key.outer {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.key.what, b.key.what), cmp.Compare(a.key.side, b.key.side))
}

func listNames(names []string) string { return strings.Join(names, " ") }

// didYouMean returns a phrase that suggests the one of known that word is
// nearest to, "" where none is near.
func didYouMean(word string, known []string) string {
	best, bestDist := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < bestDist && d*2 < len(k) {
			best, bestDist = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean \"" + best + "\"? "
}

// distance returns how many letters must be inserted, deleted or replaced to
// make b of a. Long words are far from everything.
func distance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return 32
	}
	var row [33]int
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := diagonal
			if a[i-1] != b[j-1] {
				d++
			}
			diagonal = row[j]
			row[j] = min(d, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
