package node

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/address"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/tunnel/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Save writes what the interface of cfg does at present into cfg's file: its
// addresses, MTU if cfg gives one, port, key and peers. What only the file can
// know stays: DNS, Table, hooks, and the names of peers. The file is replaced
// whole or not at all, see [config.Config.Save].
//
// Unlike wg-quick it does not save what was made up while the interface came
// up: a mark that was chosen for a default route, a link-local address. Saved,
// the mark would be a choice, and the next tunnel could not have its table.
//
// dir is the folder of the journals, [RunDir] if empty.
func Save(cfg *config.Config, dir string) error {
	if dir == "" {
		dir = RunDir()
	}
	status, err := uapi.Get(cfg.Name)
	if err != nil {
		return fmt.Errorf("save %s: %w", cfg.Path, err)
	}
	chosen := uint32(0)
	if j, err := plan.OpenJournal(journalPath(dir, cfg.Name)); err == nil {
		chosen = j.Mark()
	}
	saved, err := present(cfg, status, chosen)
	if err != nil {
		return fmt.Errorf("save %s: %w", cfg.Path, err)
	}
	return saved.Save()
}

// save is Save for a node that serves itself.
func (n *Node) save() error { return Save(n.Config(), n.opt.RunDir) }

// present is cfg as it would have to be for what the device and the link do
// now. The mark chosen, if not 0, is not of cfg.
func present(cfg *config.Config, s *uapi.Status, chosen uint32) (*config.Config, error) {
	c := *cfg
	i := &c.Interface
	if i.PrivateKey.Public() != s.PrivateKey.Public() { // the device may have clamped it
		i.PrivateKeyFrom = config.Source{} // it has another key by now
	}
	i.PrivateKey, i.ListenPort = s.PrivateKey, s.ListenPort
	if s.FwMark != chosen || i.FwMark != 0 {
		i.FwMark = s.FwMark
	}
	var err error
	if i.Addresses, i.MTU, err = linkState(&c); err != nil {
		return nil, err
	}
	known := make(map[key.Public]*config.Peer)
	for n := range cfg.Peers {
		known[cfg.Peers[n].PublicKey] = &cfg.Peers[n]
	}
	c.Peers = nil
	for n := range s.Peers {
		p := &s.Peers[n]
		peer := config.Peer{PublicKey: p.PublicKey, PresharedKey: p.PresharedKey, AllowedIPs: slices.Clone(p.AllowedIPs),
			PersistentKeepalive: uint16(p.PersistentKeepalive.Seconds())}
		if p.Endpoint.IsValid() {
			peer.Endpoint = p.Endpoint.String()
		}
		if was := known[p.PublicKey]; was != nil {
			peer.Name, peer.Shared = was.Name, was.Shared
			if was.PresharedKey == p.PresharedKey {
				peer.PresharedKeyFrom = was.PresharedKeyFrom
			}
		}
		c.Peers = append(c.Peers, peer)
	}
	return &c, nil
}

// linkState returns the addresses that the link has, but for a link-local one
// that the kernel has made up, and its MTU if cfg gives one.
func linkState(cfg *config.Config) ([]netip.Prefix, int, error) {
	l, err := link.ByName(cfg.Name)
	if err != nil {
		return nil, 0, err
	}
	prefixes, err := address.Prefixes(l)
	if err != nil {
		return nil, 0, err
	}
	prefixes = slices.DeleteFunc(prefixes, func(p netip.Prefix) bool {
		return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && !slices.Contains(cfg.Interface.Addresses, p)
	})
	mtu := cfg.Interface.MTU
	if mtu != 0 {
		mtu = l.MTU
	}
	return prefixes, mtu, nil
}
