package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Create is for [plan.Device]; the link is there.
func (r *reload) Create(context.Context, string) error { return errors.New("it is there already") }

// Configure is for [plan.Device].
func (r *reload) Configure(_ context.Context, mark uint32) error { return r.device(mark) }

// device changes the device's configuration, or leaves it as it is if that fails.
func (r *reload) device(mark uint32) error {
	tun, before := r.n.tun, r.before
	if before == nil {
		var err error
		if before, err = tun.Status(); err != nil {
			return err
		}
	}
	c := stated(r.cfg, r.endpoints, mark)
	r.left = r.takeBack(c, stated(r.was, endpoint.New(r.was, nil), r.chosen()), before)
	r.keepEndpoints(c, before)
	c.Reduce(before)
	if !c.IsZero() && !r.check {
		if err := tun.Apply(c, nil); err != nil {
			return errors.Join(r.n.portTaken(err, r.n.wantedPort(r.cfg)), r.restore(before))
		}
	}
	if !r.check {
		r.n.namePeers(r.cfg)
	}
	for _, what := range c.Words() {
		say.Line(r.out, "[#] wg set %s %s", r.n.name, what)
	}
	return nil
}

// restore makes the device what it was before.
func (r *reload) restore(before *uapi.Status) error {
	now, err := r.n.tun.Status()
	if err != nil {
		return err
	}
	c := before.Whole()
	c.Reduce(now)
	r.n.namePeers(r.was)
	if c.IsZero() {
		return nil
	}
	return r.n.tun.Apply(c, nil)
}

// chosen is the mark that the device was given when it came up or by the latest
// reload: the configuration's, or one that was chosen for a default route. What a
// hook has set is neither.
func (r *reload) chosen() uint32 {
	if mark := r.n.journal.Mark(); mark != r.n.hooked.mark {
		return mark
	}
	return r.was.Interface.FwMark
}

// hookedIn returns what hooks have given a device that says s and the configuration
// does not state, as far as routes, table and MTU follow it: what PreUp has set,
// as far as it is there, and the mark.
func (r *reload) hookedIn(s *uapi.Status) (hooked, error) {
	h := r.n.hooked
	addrs, err := r.n.addresses()
	if err != nil {
		return h, err
	}
	h.forget(s, addrs)
	h.mark = 0
	if !statesMark(r.was) && !statesMark(r.cfg) && s.FwMark != r.chosen() {
		h.mark = s.FwMark
	}
	return h, nil
}

// keepEndpoints leaves the endpoint of a peer that is written as it was to the
// peer, which may have moved.
func (r *reload) keepEndpoints(c *uapi.Change, s *uapi.Status) {
	before, has := endpoint.New(r.was, nil), s.ByKey()
	for i := range c.Peers {
		p := &c.Peers[i]
		old, _ := before.Written(p.PublicKey)
		now, _ := r.endpoints.Written(p.PublicKey)
		if is := has[p.PublicKey]; is != nil && old == now && is.Endpoint.IsValid() {
			p.Endpoint = netip.AddrPort{}
		}
	}
}

// takeBack makes of c, which asks for what the new configuration states, a change
// that also takes back what only the one before stated; was asks for that. It
// returns in words what a device that says s has besides: it is not the
// configuration's, and stays. The port of a file that gives none any more stays,
// too: any will do then.
func (r *reload) takeBack(c, was *uapi.Change, s *uapi.Status) (left []string) {
	switch {
	case c.PrivateKey != nil:
	case was.PrivateKey != nil:
		c.PrivateKey = new(key.Private)
	case !s.PrivateKey.IsZero():
		left = append(left, "the private key")
	}
	switch {
	case c.FwMark != nil && r.hooked.mark == 0:
	case r.hooked.mark == 0 && was.FwMark != nil:
		c.FwMark = new(uint32)
	case s.FwMark != 0:
		left = append(left, fmt.Sprintf("the mark 0x%x", s.FwMark))
	}
	switch {
	case c.ListenPort != nil && *c.ListenPort == 0:
		c.ListenPort = nil
	case c.ListenPort == nil && was.ListenPort == nil && s.ListenPort != r.n.port:
		left = append(left, fmt.Sprintf("the port %d", s.ListenPort))
	}
	now, before := peersOf(c), peersOf(was)
	var gone []uapi.PeerChange // kept apart, as now points into c.Peers
	for i := range s.Peers {
		is := &s.Peers[i]
		p, old := now[is.PublicKey], before[is.PublicKey]
		switch {
		case p != nil:
			if of := takeBackOfPeer(p, old, is); len(of) > 0 {
				left = append(left, fmt.Sprintf("%s of %s", strings.Join(of, ", "), r.peer(is.PublicKey)))
			}
		case old != nil:
			gone = append(gone, uapi.PeerChange{PublicKey: is.PublicKey, Remove: true})
		default:
			left = append(left, r.peer(is.PublicKey))
		}
	}
	c.Peers = append(gone, c.Peers...) // first, so that others can have their prefixes
	return left
}

// takeBackOfPeer is takeBack for one peer; old is nil if it was not stated.
func takeBackOfPeer(p, old *uapi.PeerChange, is *uapi.PeerStatus) (left []string) {
	if old == nil {
		old = &uapi.PeerChange{}
	}
	switch {
	case p.PresharedKey != nil:
	case old.PresharedKey != nil:
		p.PresharedKey = new(key.Preshared)
	case !is.PresharedKey.IsZero():
		left = append(left, "the preshared key")
	}
	switch {
	case p.Keepalive != nil:
	case old.Keepalive != nil:
		p.Keepalive = new(uint16)
	case is.PersistentKeepalive != 0:
		left = append(left, fmt.Sprintf("the keepalive of %v", is.PersistentKeepalive))
	}
	p.ReplaceIPs = false
	stated, before := setOf(p.AllowedIPs, p.RemovedIPs), setOf(old.AllowedIPs)
	for _, prefix := range is.AllowedIPs {
		switch {
		case stated[prefix]:
		case before[prefix]:
			p.RemovedIPs = append(p.RemovedIPs, prefix)
		default:
			left = append(left, prefix.String())
		}
	}
	return left
}

func setOf(lists ...[]netip.Prefix) map[netip.Prefix]bool {
	set := make(map[netip.Prefix]bool)
	for _, list := range lists {
		for _, p := range list {
			set[p] = true
		}
	}
	return set
}

func peersOf(c *uapi.Change) map[key.Public]*uapi.PeerChange {
	peers := make(map[key.Public]*uapi.PeerChange, len(c.Peers))
	for i := range c.Peers {
		peers[c.Peers[i].PublicKey] = &c.Peers[i]
	}
	return peers
}

// peer names a peer for people.
func (r *reload) peer(k key.Public) string {
	if state, ok := r.n.tun.StateOf(k); ok && state.Name != "" {
		return "peer " + state.Name
	}
	return "peer " + k.Short()
}
