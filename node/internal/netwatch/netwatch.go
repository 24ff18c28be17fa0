// Package netwatch keeps a tunnel going while the network of this host changes: its peers are told
// where the host is now, the MTU is adapted, and people are told. What has changed package uplink
// finds out.
package netwatch

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/burst"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/uplink"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// sessionTime is how long a session lasts (device.RejectAfterTime).
const sessionTime = 180 * time.Second

// Watch keeps the tunnel going while this host's network changes. The
// UDP sockets look after themselves (package udp). What is left is to tell the
// peers, who would go on sending to where this host was; to adapt the MTU; and
// to tell people.
type Watch struct {
	Link     string
	Tunnel   *tunnel.Tunnel
	Config   func() *config.Config
	Mark     func() uint32 // of the encrypted packets
	Follower *endpoint.Follower
	MTU      *MTU         // of the link, where it is to be adapted
	Last     uplink.State // the picture of the network that is known
	Log      *slog.Logger
}

func (*Watch) String() string { return "watch the network" }

// Run serves until ctx ends. A system that does not let its network be watched
// is no reason to end the node.
func (t *Watch) Run(ctx context.Context) error {
	w, changed, err := burst.Network()
	if err != nil {
		t.Log.Error("the network is not watched", "error", err)
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
			t.Log.Error("resumes from sleep are not noticed", "error", err)
		}
	})

	t.look() // the node may have been up for a while
	for {
		select {
		case <-ctx.Done():
			return nil
		case asleep := <-resumed:
			t.tell(probe.NetworkChange{Change: probe.ChangeResume, Asleep: asleep})
			t.greet(func(netip.Addr) bool { return true }, asleep)
			t.Follower.Rush()
		case <-changed:
			burst.Settled(changed)
			start := time.Now()
			t.look()
			burst.Pause(ctx, min(burst.Pauses*time.Since(start), burst.Most))
		}
	}
}

// look finds out what has changed and does what is needed.
func (t *Watch) look() {
	now, err := Picture(t.Tunnel, t.Mark())
	if err != nil {
		t.Log.Error("cannot read network state", "error", err)
		return
	}
	d := uplink.Compare(t.Last, now)
	t.Last = now
	for _, c := range d.Changes {
		t.tell(c)
	}
	if len(d.Changes) > 0 {
		t.Follower.Rush()
	}
	moved := make(map[netip.Addr]bool)
	for _, a := range d.Moved {
		moved[a] = true
	}
	t.greet(func(a netip.Addr) bool { return moved[a] }, 0)
	if t.MTU.Given != 0 {
		t.fitMTU(now)
	}
}

// greet lets those peers know where this host is now whose endpoint moved
// names. One with a session learns it from an empty packet. One that there was a
// session with, until this host fell asleep, or that is to be kept in touch
// with, gets a handshake.
func (t *Watch) greet(moved func(netip.Addr) bool, asleep time.Duration) {
	keepalive := make(map[key.Public]bool)
	for i := range t.Config().Peers {
		if p := &t.Config().Peers[i]; p.PersistentKeepalive > 0 {
			keepalive[p.PublicKey] = true
		}
	}
	for _, p := range t.Tunnel.Peers() {
		if !p.Configured || !p.Endpoint.IsValid() || !moved(p.Endpoint.Addr()) {
			continue
		}
		var err error
		switch known, age := !p.Established.IsZero(), time.Since(p.Established); {
		case known && age < sessionTime:
			err = t.Tunnel.SendKeepalive(p.Key)
		case keepalive[p.Key] || p.Waiting > 0 || known && age-asleep < sessionTime:
			err = t.Tunnel.RenewSession(p.Key)
		}
		if err != nil {
			// The device tries on, and so does this when the network comes back.
			t.Log.Debug("cannot move a peer to the new network", "error", err)
		}
	}
}

// Picture is what this host's network is like now, to a tunnel.
func Picture(t *tunnel.Tunnel, mark uint32) (uplink.State, error) {
	var endpoints []netip.Addr
	for _, p := range t.Peers() {
		if p.Configured && p.Endpoint.IsValid() {
			endpoints = append(endpoints, p.Endpoint.Addr())
		}
	}
	return uplink.Look(endpoints, mark)
}

// tell records what happened to the network, and logs it.
func (t *Watch) tell(c probe.NetworkChange) {
	t.Tunnel.NetworkChanged(c)
	args := []any{"change", c.Change.String()}
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
	t.Log.Info("network changed", args...)
}
