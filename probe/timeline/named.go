package timeline

import (
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// shortestKey is how many characters of a key are more than a name by chance.
const shortestKey = 4

// Named are the peers that a word means: by name, or else by the beginning of a key.
func (l *Lines) Named(word string) map[key.Public]bool {
	named, keyed := make(map[key.Public]bool), make(map[key.Public]bool)
	for i := range l.Lines {
		line := &l.Lines[i]
		switch {
		case line.Peer.IsZero():
		case line.Name == word:
			named[line.Peer] = true
		case len(word) >= shortestKey && strings.HasPrefix(line.Peer.Base64(), word):
			keyed[line.Peer] = true
		}
	}
	if len(named) > 0 {
		return named
	}
	return keyed
}
