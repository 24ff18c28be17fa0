package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Peer is what a filter can name a peer by.
type Peer struct {
	ID   probe.PeerID
	Key  key.Public
	Name string // "" if it has none
}

// minKeyPrefix is how many characters of a public key name a peer at least.
const minKeyPrefix = 4

// Among returns a [Resolver] that finds peers by name, by public key in
// base64, or by the beginning of that, in this order. The beginning of several
// keys is an error; a name that several peers have means all of them.
func Among(peers []Peer) Resolver {
	return func(word string) ([]probe.PeerID, error) {
		var ids []probe.PeerID
		for _, p := range peers {
			if p.Name != "" && p.Name == word {
				ids = append(ids, p.ID)
			}
		}
		if len(ids) > 0 {
			return ids, nil
		}
		if len(word) < minKeyPrefix {
			return nil, errors.New("no peer has this name")
		}
		var keys []key.Public
		for _, p := range peers {
			if !strings.HasPrefix(p.Key.String(), word) {
				continue
			}
			ids = append(ids, p.ID)
			if len(keys) == 0 || keys[0] != p.Key {
				keys = append(keys, p.Key)
			}
		}
		switch len(keys) {
		case 0:
			return nil, errors.New("no peer has this name or public key")
		case 1:
			return ids, nil
		}
		return nil, fmt.Errorf("the public keys of %d peers begin so", len(keys))
	}
}
