package node

import (
	"net/netip"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/endpoint"
	"github.com/wgnode/wgnode/node/uplink"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/key"
)

// tunnelConfig is cfg as the device wants it: a peer that has several sections
// is one, and each prefix is given to the peer that has it in the end.
// The mark is left to the caller.
func tunnelConfig(cfg *config.Config, es *endpoint.Set) tunnel.Config {
	c := tunnel.Config{PrivateKey: cfg.Interface.PrivateKey, ListenPort: cfg.Interface.ListenPort}
	at := make(map[key.Public]int) // into c.Peers
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		j, ok := at[p.PublicKey]
		if !ok {
			j = len(c.Peers)
			at[p.PublicKey] = j
			c.Peers = append(c.Peers, tunnel.PeerConfig{PublicKey: p.PublicKey, Endpoint: es.Of(p.PublicKey)})
		}
		to := &c.Peers[j]
		if p.Name != "" {
			to.Name = p.Name
		}
		if !p.PresharedKey.IsZero() {
			to.PresharedKey = p.PresharedKey
		}
		if p.PersistentKeepalive != 0 {
			to.PersistentKeepalive = p.PersistentKeepalive
		}
	}
	for _, r := range cfg.AllowedRoutes() {
		to := &c.Peers[at[cfg.Peers[r.Peer].PublicKey]]
		to.AllowedIPs = append(to.AllowedIPs, r.Prefix)
	}
	return c
}

// Endpoint returns a peer's endpoint as the configuration has it, "" if it has
// none, and why its name did not resolve when it was last tried, nil if it did.
// Such a name is tried again for as long as the node runs.
func (n *Node) Endpoint(k key.Public) (written string, err error) {
	return n.endpoints.Load().Written(k)
}

// follower returns what looks after the endpoints that are written as names.
func (n *Node) follower() *endpoint.Follower {
	return n.endpoints.Load().Follow(endpoint.Options{
		Tunnel: n.tun, Logger: n.opt.Logger.With("interface", n.name), StaleAfter: n.opt.StaleAfter,
		Reachable: func(a netip.Addr) bool { return uplink.Reachable(a, n.mark()) },
	})
}
