// Package save writes what an interface does at present into the file that it was brought up by.
package save

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/lookup"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Config writes what the interface of cfg does at present into cfg's file: its
// addresses, MTU if cfg gives one, port, key and peers. What only the file can know
// stays as it is there: DNS, Table, hooks, comments, the names of peers and the order;
// and so does the name of an endpoint, unless another program has set an address in
// its place. The file is replaced whole or not at all, see [config.Config.Save].
//
// Unlike wg-quick it does not save what was made up while the interface came
// up: a mark that was chosen for a default route, a link-local address. Saved,
// the mark would be a choice, and the next tunnel could not have its table.
//
// dir is the folder of the journals, [rundir.Default] if empty.
func Config(ctx context.Context, cfg *config.Config, dir string) error {
	if dir == "" {
		dir = rundir.Default()
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if c, err := rundir.Dial(dir, cfg.Name); err == nil {
		if status, err := c.Status(ctx); err == nil {
			return save(cfg, dir, setByClient(status))
		}
	}
	return save(cfg, dir, lookedUp(ctx))
}

// askTime is how long Config waits for a node, and for the names of endpoints of one
// that cannot be asked.
const askTime = 5 * time.Second

// ByNode is Config for a node that serves itself and says its own status.
func ByNode(cfg *config.Config, dir string, status *control.Status) error {
	return save(cfg, dir, setByClient(status))
}

// A replaced says whether the address at which a peer is, not the name of its
// endpoint, is what was meant last.
type replaced func(p *config.Peer, at netip.AddrPort) bool

// setByClient goes by what a node knows.
func setByClient(s *control.Status) replaced {
	return func(p *config.Peer, _ netip.AddrPort) bool {
		return slices.ContainsFunc(s.Peers, func(ps control.PeerStatus) bool { return ps.PublicKey == p.PublicKey && ps.Set.IsValid() })
	}
}

// lookedUp goes by what a name stands for now. One that does not resolve stays.
func lookedUp(ctx context.Context) replaced {
	return func(p *config.Peer, at netip.AddrPort) bool {
		host, _, err := net.SplitHostPort(p.Endpoint)
		if err != nil || !at.IsValid() {
			return false
		}
		addrs, err := lookup.System(ctx, host)
		return err == nil && !slices.Contains(addrs, at.Addr().Unmap())
	}
}

func save(cfg *config.Config, dir string, by replaced) error {
	status, err := uapi.Get(cfg.Name)
	if err != nil {
		return fmt.Errorf("save %s: %w", cfg.Path, err)
	}
	chosen := uint32(0)
	if j, err := plan.OpenJournal(rundir.Journal(dir, cfg.Name)); err == nil {
		chosen = j.Mark()
	}
	saved, err := present(cfg, status, chosen, by)
	if err != nil {
		return fmt.Errorf("save %s: %w", cfg.Path, err)
	}
	return saved.Save()
}

// present is cfg as it would have to be for what the device and the link do
// now. The mark chosen, if not 0, is not of cfg.
func present(cfg *config.Config, s *uapi.Status, chosen uint32, by replaced) (*config.Config, error) {
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
	// In the order of the file; a device has none. New ones come last.
	at := make(map[key.Public]int)
	for n := range cfg.Peers {
		if _, twice := at[cfg.Peers[n].PublicKey]; !twice {
			at[cfg.Peers[n].PublicKey] = n
		}
	}
	place := func(p *uapi.PeerStatus) int {
		if n, known := at[p.PublicKey]; known {
			return n
		}
		return len(cfg.Peers)
	}
	peers := slices.Clone(s.Peers)
	slices.SortStableFunc(peers, func(a, b uapi.PeerStatus) int { return place(&a) - place(&b) })
	c.Peers = nil
	for n := range peers {
		var was *config.Peer
		if known := place(&peers[n]); known < len(cfg.Peers) {
			was = &cfg.Peers[known]
		}
		c.Peers = append(c.Peers, presentPeer(&peers[n], was, by))
	}
	return &c, nil
}

// presentPeer is a peer as the device has it. In the file it is was, or nil.
func presentPeer(p *uapi.PeerStatus, was *config.Peer, by replaced) config.Peer {
	peer := config.Peer{PublicKey: p.PublicKey, PresharedKey: p.PresharedKey, AllowedIPs: slices.Clone(p.AllowedIPs),
		PersistentKeepalive: uint16(p.PersistentKeepalive.Seconds())}
	if p.Endpoint.IsValid() {
		peer.Endpoint = p.Endpoint.String()
	}
	if was == nil {
		return peer
	}
	peer.Name, peer.Shared = was.Name, was.Shared
	if was.PresharedKey == p.PresharedKey {
		peer.PresharedKeyFrom = was.PresharedKeyFrom
	}
	if isName(was.Endpoint) && !by(was, p.Endpoint) {
		peer.Endpoint = was.Endpoint
	}
	return peer
}

// isName reports whether an endpoint is a name and a port.
func isName(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
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
