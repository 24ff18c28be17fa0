package netwatch

import (
	"github.com/wgnode/wgnode/node/internal/uplink"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// leastMTU is what IPv6 takes (RFC 8200). Adapting the MTU goes no lower:
// the kernel would take the link's IPv6 addresses away.
const leastMTU = 1280

// MTU is that of a link, as it was given. It changes only while nobody watches, or by who does.
type MTU struct {
	// Given is what the plan's rule gave the link, in bytes; 0: the configuration or another program gave it.
	Given int
	// Counts reports whether the way to a peer's endpoint counts.
	Counts func(key.Public) bool
	// Changed takes note of another one.
	Changed func(mtu int)
}

// fitMTU sets the link's MTU to what the plan's rule makes of the ways that
// packets take now, unless somebody else has set it meanwhile: then it is
// theirs from now on. Without a way it stays as it is; one that leads into the
// tunnel itself is none, or each look would take its overhead off again.
func (t *Watch) fitMTU(now uplink.State) {
	outside := func(w uplink.Way) int {
		if w.Link == t.Link {
			return 0
		}
		return w.MTU
	}
	s := plan.State{DefaultMTU: outside(now.Default4)}
	for _, p := range t.Tunnel.Peers() {
		if mtu := outside(now.Ways[p.Endpoint.Addr()]); mtu > 0 && t.MTU.Counts(p.Key) {
			s.EndpointMTUs = append(s.EndpointMTUs, mtu)
		}
	}
	if len(s.EndpointMTUs) == 0 && s.DefaultMTU == 0 {
		return
	}
	mtu, why, err := s.MTU()
	if err != nil {
		t.Log.Error("MTU not changed", "error", err)
		return
	}
	was := t.MTU.Given
	if mtu = max(mtu, min(leastMTU, was)); mtu == was {
		return
	}
	l, err := link.ByName(t.Link)
	if err != nil {
		t.Log.Error("MTU not changed", "error", err)
		return
	}
	if l.MTU != was {
		t.Log.Info("MTU not changed: another program has set it", "mtu", l.MTU)
		t.MTU.Given = 0
		return
	}
	if err := link.SetMTU(l, mtu); err != nil {
		t.Log.Error("MTU not changed", "error", err)
		return
	}
	t.Log.Debug("MTU changed", "mtu", mtu, "why", why)
	t.MTU.Changed(mtu)
	t.tell(probe.NetworkChange{Change: probe.ChangeMTU, NewLink: t.Link, OldMTU: was, NewMTU: mtu})
	t.MTU.Given = mtu
}
