package node

import (
	"context"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/address"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// hooked is what PreUp hooks have given the device and the link. It stays there,
// next to what the configuration states, and as with wg-quick routes, table and MTU
// follow it.
type hooked struct {
	mark  uint32 // 0: none
	port  uint16 // 0: none
	peers []config.Peer
	addrs []netip.Prefix // of the link, with the sizes of their networks
}

// hookedIn is what a device has that the configuration has not reached yet.
func hookedIn(s *uapi.Status) hooked {
	h := hooked{mark: s.FwMark, port: s.ListenPort}
	for i := range s.Peers {
		p := &s.Peers[i]
		peer := config.Peer{PublicKey: p.PublicKey, AllowedIPs: p.AllowedIPs}
		if p.Endpoint.IsValid() {
			peer.Endpoint = p.Endpoint.String()
		}
		h.peers = append(h.peers, peer)
	}
	return h
}

// with returns the configuration that describes the device when it has got cfg,
// too. What cfg states goes before.
func (h *hooked) with(cfg *config.Config) *config.Config {
	c := *cfg
	if !statesMark(cfg) {
		c.Interface.FwMark = h.mark
	}
	c.Peers = slices.Concat(h.peers, cfg.Peers)
	return &c
}

// endpoints returns the addresses of the peers' endpoints: those of es, and those
// that only hooks have given.
func (h *hooked) endpoints(es *endpoint.Set) []netip.Addr {
	addrs := es.Addrs()
	for i := range h.peers {
		p := &h.peers[i]
		if at, err := netip.ParseAddrPort(p.Endpoint); err == nil && !es.Of(p.PublicKey).IsValid() {
			addrs = append(addrs, at.Addr())
		}
	}
	return addrs
}

// called reports whether a hook has given a peer an endpoint.
func (h *hooked) called(k key.Public) bool {
	return slices.ContainsFunc(h.peers, func(p config.Peer) bool { return p.PublicKey == k && p.Endpoint != "" })
}

// forget leaves out the peers that a device which says s does not have any more,
// and the addresses that the link does not have.
func (h *hooked) forget(s *uapi.Status, addrs []netip.Prefix) {
	has := s.ByKey()
	h.peers = slices.DeleteFunc(slices.Clone(h.peers), func(p config.Peer) bool { return has[p.PublicKey] == nil })
	h.addrs = slices.DeleteFunc(slices.Clone(h.addrs), func(a netip.Prefix) bool { return !slices.Contains(addrs, a) })
}

// planAgain is plan after the PreUp hooks, when the steps that j tells of are done.
func (n *Node) planAgain(_ context.Context, j *plan.Journal) ([]plan.Step, error) {
	status, err := n.tun.Status()
	if err != nil {
		return nil, err
	}
	n.hooked = hookedIn(status)
	cfg := n.hooked.with(n.Config())
	host, err := plan.Gather(cfg, n.hooked.endpoints(n.endpoints.Load()), 0)
	if err != nil {
		return nil, err
	}
	host.Except(j.Steps)
	if n.hooked.addrs, err = n.addresses(); err != nil {
		return nil, err
	}
	host.OnLink = n.hooked.addrs
	return plan.Build(cfg, host)
}

// addresses are those that the link has now.
func (n *Node) addresses() ([]netip.Prefix, error) {
	l, err := link.ByName(n.name)
	if err != nil {
		return nil, err
	}
	return address.Prefixes(l)
}
