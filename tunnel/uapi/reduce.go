package uapi

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/tunnel/key"
)

// Reduce leaves in c, the whole of a configuration, only what a device that says
// s lacks of it, and removes the peers that c does not have: so the sessions of
// peers that stay go on. A nil PrivateKey, ListenPort or FwMark stays nil.
func (c *Change) Reduce(s *Status) {
	if c.PrivateKey != nil && *c.PrivateKey == s.PrivateKey {
		c.PrivateKey = nil
	}
	if c.ListenPort != nil && *c.ListenPort == s.ListenPort {
		c.ListenPort = nil
	}
	if c.FwMark != nil && *c.FwMark == s.FwMark {
		c.FwMark = nil
	}
	c.ReplacePeers = false
	wanted := make(map[key.Public]bool)
	for i := range c.Peers {
		wanted[c.Peers[i].PublicKey] = true
	}
	var changes []PeerChange
	present := make(map[key.Public]*PeerStatus)
	for i := range s.Peers {
		pub := s.Peers[i].PublicKey
		present[pub] = &s.Peers[i]
		if !wanted[pub] {
			changes = append(changes, PeerChange{PublicKey: pub, Remove: true})
		}
	}
	// Where two peers claim a prefix, the last gets it only if both are told.
	all := overlap(c.Peers)
	for _, p := range c.Peers {
		if all || !hasAlready(present[p.PublicKey], &p) {
			changes = append(changes, p)
		}
	}
	c.Peers = changes
}

// overlap reports whether the order of peers matters: one comes twice, or one
// prefix does.
func overlap(peers []PeerChange) bool {
	keys, prefixes := make(map[key.Public]bool), make(map[netip.Prefix]bool)
	for i := range peers {
		if keys[peers[i].PublicKey] {
			return true
		}
		keys[peers[i].PublicKey] = true
		for _, prefix := range peers[i].AllowedIPs {
			if prefixes[prefix] {
				return true
			}
			prefixes[prefix] = true
		}
	}
	return false
}

// hasAlready reports whether the change c would leave p, which may be nil for
// none, as it is.
func hasAlready(p *PeerStatus, c *PeerChange) bool {
	switch {
	case p == nil || !c.ReplaceIPs || len(c.RemovedIPs) > 0,
		c.PresharedKey != nil && *c.PresharedKey != p.PresharedKey,
		c.Endpoint.IsValid() && c.Endpoint != p.Endpoint,
		c.Keepalive != nil && time.Duration(*c.Keepalive)*time.Second != p.PersistentKeepalive,
		len(c.AllowedIPs) != len(p.AllowedIPs):
		return false
	}
	byAddress := func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	}
	return slices.Equal(slices.SortedFunc(slices.Values(c.AllowedIPs), byAddress), slices.SortedFunc(slices.Values(p.AllowedIPs), byAddress))
}
