//go:build linux

package kernelwg

import (
	"sync"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Peers number a device's peers, as long as it is watched. It is safe for concurrent use.
type Peers struct {
	mu   sync.Mutex
	ids  map[key.Public]probe.PeerID // guarded by mu
	keys []key.Public                // guarded by mu: by number, less 1
}

func newPeers() *Peers { return &Peers{ids: make(map[key.Public]probe.PeerID)} }

// ID is the number of the peer with a public key.
func (p *Peers) ID(k key.Public) probe.PeerID {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ok := p.ids[k]
	if !ok {
		p.keys = append(p.keys, k)
		id = probe.PeerID(len(p.keys))
		p.ids[k] = id
	}
	return id
}

// Key is the public key of a peer, zero if no peer has the number.
func (p *Peers) Key(id probe.PeerID) key.Public {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id == 0 || int(id) > len(p.keys) {
		return key.Public{}
	}
	return p.keys[id-1]
}
