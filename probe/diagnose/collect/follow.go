package collect

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Many connections may go to one target at a time. What becomes of them is not mixed: one
// is followed, as a rule the first that is seen to begin.

// followed is the connection that is followed.
type followed struct {
	since int64 // Unix nanoseconds
	old   bool  // it was not seen to begin
}

// giveUpAfter is how long in nanoseconds a connection is followed that has no answer,
// where another begins. Who asks in vain may have been asked for the last time.
const giveUpAfter = int64(1e9)

// FollowsOld reports whether the connection that is followed was not seen to begin: it may
// run on where another would not.
func (c *Collector) FollowsOld() bool { return c.followed.old }

// follow decides which connection the flow is, by a packet that enters the tunnel for the
// target or has left it. A connection that has no answer gives way to the next one on the
// side that is called.
func (c *Collector) follow(e *probe.Event) {
	f := c.Flow
	entry := e.Checkpoint == probe.A1 || e.Checkpoint == probe.B3 || e.Checkpoint == probe.B4
	if !entry || e.ICMPError() || e.InnerDst.Netip() != f.Target.Addr() ||
		!portMatches(f, e, e.InnerDstPort) || f.Source.IsValid() && !f.Source.Contains(e.InnerSrc.Netip()) {
		return
	}
	client := netip.AddrPortFrom(e.InnerSrc.Netip(), e.InnerSrcPort)
	begins := e.Opens() || e.Proto == probe.ProtoUDP // of which it may
	switch now := c.followed; {
	case client == f.Client || e.Flags&probe.FlagFragment != 0:
		return
	case !f.Client.IsValid():
	case !begins:
		return
	case !now.old && now.since >= c.Since && (f.Works() || e.Checkpoint == probe.A1 || e.Time-now.since < giveUpAfter):
		return
	}
	c.followed = followed{e.Time, !begins}
	*f = diagnose.Flow{Target: f.Target, UDP: f.UDP, Source: f.Source, Client: client, Route: f.Route, XfrmBlocks: f.XfrmBlocks}
}
