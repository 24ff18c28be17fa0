package node

import (
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/key"
)

// tunnelConfig is cfg as the device wants it: a peer that has several sections
// is one, and each prefix is given to the peer that has it in the end.
// The mark is left to the caller.
func tunnelConfig(cfg *config.Config, es *endpoints) tunnel.Config {
	c := tunnel.Config{PrivateKey: cfg.Interface.PrivateKey, ListenPort: cfg.Interface.ListenPort}
	at := make(map[key.Public]int) // into c.Peers
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		j, ok := at[p.PublicKey]
		if !ok {
			j = len(c.Peers)
			at[p.PublicKey] = j
			c.Peers = append(c.Peers, tunnel.PeerConfig{PublicKey: p.PublicKey, Endpoint: es.of(p.PublicKey)})
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
