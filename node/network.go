package node

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/uplink"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

const (
	// sessionTime is how long a session lasts (device.RejectAfterTime).
	sessionTime = 180 * time.Second
	// leastMTU is what IPv6 takes (RFC 8200). Adapting the MTU goes no lower:
	// the kernel would take the link's IPv6 addresses away.
	leastMTU = 1280
)

// networkTask keeps the tunnel going while this host's network changes. The
// UDP sockets look after themselves (package udp). What is left is to tell the
// peers, who would go on sending to where this host was; to adapt the MTU; and
// to tell people.
type networkTask struct {
	n        *Node
	follower *endpoint.Follower
	last     uplink.State // the picture of the network that is known
}

func (*networkTask) String() string { return "watch the network" }

// Run serves until ctx ends. A system that does not let its network be watched
// is no reason to end the node.
func (t *networkTask) Run(ctx context.Context) error {
	log := t.n.opt.Logger.With("interface", t.n.name)
	w, changed, err := burst.Network()
	if err != nil {
		log.Error("the network is not watched", "error", err)
		<-ctx.Done()
		return nil
	}
	defer w.Close() // nothing was written

	var sleeps sync.WaitGroup
	defer sleeps.Wait()
	resumed := make(chan time.Duration, 1)
	sleeps.Go(func() {
		err := uplink.Resumes(ctx, func(asleep time.Duration) {
			select {
			case resumed <- asleep:
			case <-ctx.Done():
			}
		})
		if err != nil {
			log.Error("resumes from sleep are not noticed", "error", err)
		}
	})

	t.look() // the node may have been up for a while
	for {
		select {
		case <-ctx.Done():
			return nil
		case asleep := <-resumed:
			t.n.tell(probe.NetworkChange{Change: probe.ChangeResume, Asleep: asleep})
			t.greet(func(netip.Addr) bool { return true }, asleep)
			t.follower.Rush()
		case <-changed:
			burst.Settled(changed)
			start := time.Now()
			t.look()
			burst.Pause(ctx, min(burst.Pauses*time.Since(start), burst.Most))
		}
	}
}

// look finds out what has changed and does what is needed.
func (t *networkTask) look() {
	now, err := t.n.picture()
	if err != nil {
		t.n.opt.Logger.Error("cannot read network state", "interface", t.n.name, "error", err)
		return
	}
	d := uplink.Compare(t.last, now)
	t.last = now
	for _, c := range d.Changes {
		t.n.tell(c)
	}
	if len(d.Changes) > 0 {
		t.follower.Rush()
	}
	moved := make(map[netip.Addr]bool)
	for _, a := range d.Moved {
		moved[a] = true
	}
	t.greet(func(a netip.Addr) bool { return moved[a] }, 0)
	if t.n.mtu != 0 {
		t.n.fitMTU(now)
	}
}

// greet lets those peers know where this host is now whose endpoint moved
// names. One with a session learns it from an empty packet. One that there was a
// session with, until this host fell asleep, or that is to be kept in touch
// with, gets a handshake.
func (t *networkTask) greet(moved func(netip.Addr) bool, asleep time.Duration) {
	keepalive := make(map[key.Public]bool)
	for i := range t.n.Config().Peers {
		if p := &t.n.Config().Peers[i]; p.PersistentKeepalive > 0 {
			keepalive[p.PublicKey] = true
		}
	}
	for _, p := range t.n.tun.Peers() {
		if !p.Configured || !p.Endpoint.IsValid() || !moved(p.Endpoint.Addr()) {
			continue
		}
		var err error
		switch known, age := !p.Established.IsZero(), time.Since(p.Established); {
		case known && age < sessionTime:
			err = t.n.tun.SendKeepalive(p.Key)
		case keepalive[p.Key] || p.Waiting > 0 || known && age-asleep < sessionTime:
			err = t.n.tun.RenewSession(p.Key)
		}
		if err != nil {
			// The device tries on, and so does this when the network comes back.
			t.n.opt.Logger.Debug("cannot move a peer to the new network", "interface", t.n.name, "error", err)
		}
	}
}

// picture is what this host's network is like now, to this node.
func (n *Node) picture() (uplink.State, error) {
	var endpoints []netip.Addr
	for _, p := range n.tun.Peers() {
		if p.Configured && p.Endpoint.IsValid() {
			endpoints = append(endpoints, p.Endpoint.Addr())
		}
	}
	return uplink.Look(endpoints, n.mark())
}

// fitMTU sets the link's MTU to what the plan's rule makes of the ways that
// packets take now, unless somebody else has set it meanwhile: then it is
// theirs from now on. Without a way it stays as it is; one that leads into the
// tunnel itself is none, or each look would take its overhead off again.
func (n *Node) fitMTU(now uplink.State) {
	log := n.opt.Logger.With("interface", n.name)
	outside := func(w uplink.Way) int {
		if w.Link == n.name {
			return 0
		}
		return w.MTU
	}
	s := plan.State{DefaultMTU: outside(now.Default4)}
	for _, p := range n.tun.Peers() {
		if mtu := outside(now.Ways[p.Endpoint.Addr()]); mtu > 0 && (n.endpoints.Load().Of(p.Key).IsValid() || n.hooked.called(p.Key)) {
			s.EndpointMTUs = append(s.EndpointMTUs, mtu)
		}
	}
	if len(s.EndpointMTUs) == 0 && s.DefaultMTU == 0 {
		return
	}
	mtu, why, err := s.MTU()
	if err != nil {
		log.Error("MTU not changed", "error", err)
		return
	}
	if mtu = max(mtu, min(leastMTU, n.mtu)); mtu == n.mtu {
		return
	}
	l, err := link.ByName(n.name)
	if err != nil {
		log.Error("MTU not changed", "error", err)
		return
	}
	if l.MTU != n.mtu {
		log.Info("MTU not changed: another program has set it", "mtu", l.MTU)
		n.mtu = 0
		return
	}
	if err := link.SetMTU(l, mtu); err != nil {
		log.Error("MTU not changed", "error", err)
		return
	}
	log.Debug("MTU changed", "mtu", mtu, "why", why)
	n.applied.SetMTU(mtu)
	n.tell(probe.NetworkChange{Change: probe.ChangeMTU, NewLink: n.name, OldMTU: n.mtu, NewMTU: mtu})
	n.mtu = mtu
}

// tell records what happened to the network, and logs it.
func (n *Node) tell(c probe.NetworkChange) {
	n.tun.NetworkChanged(c)
	args := []any{"interface", n.name, "change", c.Change.String()}
	for _, a := range []struct {
		key   string
		value any
		there bool
	}{
		{"old", c.OldAddr, c.OldAddr.IsValid()}, {"old_link", c.OldLink, c.OldLink != ""}, {"old_mtu", c.OldMTU, c.OldMTU != 0},
		{"new", c.NewAddr, c.NewAddr.IsValid()}, {"new_link", c.NewLink, c.NewLink != ""}, {"new_mtu", c.NewMTU, c.NewMTU != 0},
		{"asleep", c.Asleep, c.Asleep != 0},
	} {
		if a.there {
			args = append(args, a.key, a.value)
		}
	}
	n.opt.Logger.Info("network changed", args...)
}
