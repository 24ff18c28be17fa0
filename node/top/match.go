package top

import (
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/recording"
)

// matcher is what selects the events of a recording by the words of a filter; nil where there
// are none.
func matcher(words []string, known []recording.Peer) (func(*flows.Entry) bool, error) {
	if len(words) == 0 {
		return nil, nil
	}
	peers := make([]filter.Peer, 0, len(known))
	for i := range known {
		peers = append(peers, filter.Peer{ID: known[i].ID, Key: known[i].PublicKey, Name: known[i].Name})
	}
	f, err := filter.CompileBoth(words, filter.Among(peers), nil)
	if err != nil {
		return func(*flows.Entry) bool { return false }, err
	}
	return func(e *flows.Entry) bool {
		if e.Kernel != "" {
			return f.MatchDrop(&e.Event, e.Kernel)
		}
		return f.Match(&e.Event)
	}, nil
}
