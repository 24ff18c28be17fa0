package filter

import (
	"slices"
	"strings"
)

// Complete returns the words that toComplete may become behind args, for the
// completion of a shell: keys, names, and the continuation of a list. It knows
// no peers and no addresses, and returns nothing where one of these comes
// next; [WantsPeer] tells the former.
func Complete(args []string, toComplete string) []string {
	s := scan(args)
	list := ""
	var words []string
	if i := strings.LastIndexByte(toComplete, ','); i >= 0 {
		// The values before the last are kept, those of one key follow.
		list, toComplete = toComplete[:i+1], toComplete[i+1:]
		w := s.value
		if w == 0 {
			first, _, _ := strings.Cut(list, ",")
			w, _ = keyOfName(first)
		}
		words = w.names()
	} else {
		words = s.words()
	}
	var found []string
	given := strings.Split(list, ",")
	for _, w := range words {
		// Checkpoints are also taken in lower case.
		if len(w) >= len(toComplete) && strings.EqualFold(w[:len(toComplete)], toComplete) &&
			!slices.Contains(given, w) {
			found = append(found, list+w)
		}
	}
	return found
}

// WantsPeer reports whether the word behind args is the name of a peer.
func WantsPeer(args []string) bool { return scan(args).value == whatPeer }

// position is where in a term the next word stands.
type position struct {
	not, outer, side bool
	value            what // the key that waits for its value
}

func scan(args []string) position {
	words, err := split(args)
	if err != nil {
		return position{}
	}
	var s position
	for _, word := range words {
		w, isKey := keyNamed(word)
		switch {
		case s.value != 0:
			s = position{}
		case isKey:
			s.value = w
		case word == "not":
			s.not = true
		case word == "outer":
			s.outer = true
		case word == "src" || word == "dst":
			s.side = true
		default:
			s = position{}
		}
	}
	return s
}

// words returns what can stand at s.
func (s position) words() []string {
	switch {
	case s.value != 0:
		return s.value.names()
	case s.side:
		return []string{"host", "net", "port"}
	case s.outer:
		return []string{"src", "dst", "host", "net", "port"}
	case s.not:
		return slices.DeleteFunc(firstWords(), func(w string) bool { return w == "not" })
	}
	return firstWords()
}
