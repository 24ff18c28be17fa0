package collect

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

const (
	movesKept     = 16
	strangersKept = 64
)

// Collector gathers facts from events. Events must come in order of time, as a
// [probe.Subscription] gives them. It is not safe for concurrent use.
type Collector struct {
	// Peers are the peers to gather facts of, by the ID that events name them
	// with.
	Peers map[probe.PeerID]*diagnose.Peer
	// Level is how much events tell; "" is that of wgnode's own device.
	Level probe.Level
	// Flow is the flow to gather facts of, or nil.
	Flow *diagnose.Flow
	// Via is the peer through which Flow goes; 0 for any.
	Via probe.PeerID
	// Follow has Flow be one connection of those that match: see follow.go. It keeps
	// Flow.Client. One that began before Since, in Unix nanoseconds, gives way to any that
	// begins later: the kernel was not watched by then.
	Follow bool
	Since  int64
	// From is where the packets of disallowed sources come from that matter; invalid: they are
	// those of the flow, if any.
	From netip.Prefix
	// Latest keeps the latest packet that passed each checkpoint for a peer
	// rather than the first handshake message.
	Latest    bool
	Strangers []diagnose.Stranger

	followed followed
	recent   map[probe.PeerID]*recent // nil until there is any; see Exchanges
	sent     []probe.Event            // the latest data messages that were sent; see unpaired
}

// Add takes one event into account. It keeps a copy, not the pointer.
func (c *Collector) Add(ev *probe.Event) {
	e := *ev
	if p := c.Peers[e.Peer]; p != nil {
		c.addToPeer(p, &e)
		if c.Latest && !e.Dropped() && e.Seam != probe.SeamDevice {
			p.Seen[e.Checkpoint] = &e
			if e.Checkpoint.OfFlow() {
				c.remember(&e)
			}
		}
	}
	if e.Kind == probe.KindInitiation && (e.Reason == probe.UnknownPeer || e.Reason == probe.InvalidMAC1) {
		c.stranger(&e)
	}
	if c.Flow != nil && (c.Via == 0 || e.Peer == c.Via || e.Peer == 0) {
		if c.Follow {
			c.follow(&e)
		}
		AddToFlow(c.Flow, &e)
		if c.Level.Copies() {
			c.unpaired(&e)
		}
	}
}

func (c *Collector) stranger(e *probe.Event) {
	s := diagnose.Stranger{Reason: e.Reason, Count: 1, Last: e}
	s.From, _ = e.Outer()
	s.Key, _ = e.StaticKey()
	for i := range c.Strangers {
		o := &c.Strangers[i]
		if o.From.Addr() == s.From.Addr() && o.Key == s.Key && o.Reason == s.Reason {
			o.Count++
			o.From, o.Last = s.From, e
			return
		}
	}
	if len(c.Strangers) < strangersKept {
		c.Strangers = append(c.Strangers, s)
	}
}

func (c *Collector) addToPeer(p *diagnose.Peer, e *probe.Event) {
	switch e.Kind {
	case probe.KindInitiation, probe.KindResponse, probe.KindCookie:
		if c.Level.Copies() {
			addCopy(&p.Handshake, e)
		} else {
			addToHandshake(&p.Handshake, e)
		}
		if p.Seen[e.Checkpoint] == nil && !e.Dropped() && e.Seam != probe.SeamDevice {
			p.Seen[e.Checkpoint] = e
		}
		if e.Kind == probe.KindResponse && e.Seam == probe.SeamDevice && !e.Dropped() {
			p.Hear(e.When())
			reached(p)
		}
	case probe.KindData, probe.KindKeepalive:
		c.addData(p, e)
	case probe.KindInner:
		switch {
		case e.Reason == probe.NoEndpoint:
			p.NoEndpoint = e
		case e.Reason == probe.DisallowedSource, e.Reason == probe.LinkScope && e.Seam == probe.SeamTUNWrite:
			c.addData(p, e) // the kernel's WireGuard looks as it delivers
		case e.Seam == probe.SeamTUNWrite && !e.Dropped():
			p.Hear(e.When())
			reached(p)
			confirmed(&p.Handshake)
		}
	case probe.KindEndpoint:
		outdated(p, e) // what failed was sent to another address
		if e.Flags&probe.FlagEndpointMoved == 0 {
			return // our own doing says nothing of who uses the peer's key
		}
		var m diagnose.Move
		m.At = e.When()
		m.Old, m.New = e.Outer()
		if p.Moves = append(p.Moves, m); len(p.Moves) > movesKept {
			p.Moves = p.Moves[1:]
		}
	case probe.KindICMP:
		if e.Claimed() {
			p.Claim = e
			p.Claims++
			return
		}
		p.ICMP = e
		p.ICMPs++
	}
}

func (c *Collector) addData(p *diagnose.Peer, e *probe.Event) {
	switch {
	case e.Reason == probe.SendError:
		p.SendErrno, p.SendError = e.Errno(), e
	case e.Reason == probe.DisallowedSource:
		// The latest, but one whose source is known says more, and one of the flow most.
		says := func(e *probe.Event) int {
			src, _ := e.Inner()
			return map[bool]int{true: 1}[src.Addr().IsValid()] + map[bool]int{true: 2}[c.concerns(e)]
		}
		if p.Disallowed == nil || says(e) >= says(p.Disallowed) {
			p.Disallowed = e
		}
		p.DisallowedN++
		reached(p)
		confirmed(&p.Handshake)
	case e.Reason == probe.LinkScope: // nobody misses it, and it is authenticated
		reached(p)
		confirmed(&p.Handshake)
	case e.Dropped():
	case c.Level.Copies(): // anybody can have sent it
	case e.Seam == probe.SeamUDPReceive && e.Kind == probe.KindKeepalive:
		if answer := p.Handshake.LastAnswered; p.Handshake.Answered > 0 && answer != nil {
			outdated(p, answer) // which has arrived
		}
		confirmed(&p.Handshake)
	}
}

// concerns reports whether a packet, whose source may be any, is what is asked about: from the
// addresses that are, or of the flow, its request or what answers that.
func (c *Collector) concerns(e *probe.Event) bool {
	src, dst := e.Inner()
	f := c.Flow
	switch {
	case c.From.IsValid():
		return c.From.Contains(src.Addr())
	case f == nil || !dst.IsValid():
		return false
	}
	if a1 := f.Seen[probe.A1]; a1 != nil {
		from, _ := a1.Inner()
		return src.Port() == f.Target.Port() && dst.Addr() == from.Addr() && (f.Target.Port() == 0 || dst.Port() == from.Port())
	}
	return dst == f.Target
}

// AddToFlow takes an event into account if it is of the flow f. It keeps a copy, not the
// pointer, and allocates only for that.
func AddToFlow(f *diagnose.Flow, e *probe.Event) {
	forth, ok := match(f, e)
	if !ok {
		return
	}
	if e.Dropped() {
		f.Dropped = kept(e)
		return
	}
	if forth && f.Client.Port() != 0 && !f.Client.Addr().IsValid() {
		f.Client = netip.AddrPortFrom(e.InnerSrc.Netip(), f.Client.Port())
	}
	if forth && returned(f, e) {
		f.Returned = kept(e)
		return
	}
	if e.ICMPError() && !e.Undelivered() {
		return // a redirection, or the size of the path: no answer to a request
	}
	if !forth && f.Answers.Stale(e) {
		return // to what was asked before
	}
	if e.Kind == probe.KindInner {
		if e.TCPFlags()&probe.TCPFin != 0 {
			return // the end of a connection that is older than what may be wrong
		}
		if e.Proto == probe.ProtoTCP {
			begin(f, e)
		}
	}
	latest(f, e, forth)
	seen(f, e)
	if e.ICMPError() && e.Kind == probe.KindInner {
		if m := f.Errors.Inner(e); m != nil {
			seen(f, m)
		}
	}
	switch {
	case forth && e.Kind == probe.KindData && e.Seam == probe.SeamUDPSend:
		f.SentData++
	case !forth && e.Kind == probe.KindInner:
		f.Replies++
		if e.ICMPError() || f.Answers.Refuses(e) {
			f.Answer = kept(e)
		}
	}
}

// returned reports whether a request that comes out of the tunnel has been sent from here,
// to the peer that it comes from. A hub that passes requests on sees them come out first.
func returned(f *diagnose.Flow, e *probe.Event) bool {
	a1 := f.Seen[probe.A1]
	return e.Seam == probe.SeamTUNWrite && a1 != nil && a1.Time <= e.Time && a1.Peer == e.Peer && a1.InnerSrc == e.InnerSrc &&
		f.Seen[probe.B4] == nil
}

// latest has what is seen of the way back be the latest packet, until one answers.
func latest(f *diagnose.Flow, e *probe.Event, forth bool) {
	unanswered := f.Replies > 0 && !f.Answers.Given()
	if e.Kind == probe.KindInner {
		f.Answers.Add(e, forth)
	}
	if !unanswered || forth || e.ICMPError() {
		return
	}
	f.Seen[e.Checkpoint] = nil
	if e.Checkpoint == probe.B7 {
		f.Seen[probe.B8] = nil
	}
}

func seen(f *diagnose.Flow, e *probe.Event) {
	if cp := e.Checkpoint; cp != probe.CheckpointNone && f.Seen[cp] == nil {
		f.Seen[cp] = kept(e)
	}
}

// kept is a copy of an event that does not belong to us.
func kept(e *probe.Event) *probe.Event {
	c := *e
	return &c
}

// begin follows a new connection rather than one that has had no answer, on the
// side that is called.
func begin(f *diagnose.Flow, e *probe.Event) {
	if e.Checkpoint == probe.B4 && e.TCPFlags()&probe.TCPSyn != 0 && f.Seen[probe.B4] != nil && !f.Paired() {
		for _, cp := range probe.Checkpoints(probe.SideB) {
			if old := f.Seen[cp]; cp.Order() >= probe.B4.Order() && old != nil && old.Time < e.Time {
				f.Seen[cp] = nil
			}
		}
	}
}

// match reports whether e is of the flow, and whether it goes towards the
// target.
func match(f *diagnose.Flow, e *probe.Event) (forth, ok bool) {
	src, dst := e.Inner()
	switch {
	case e.ICMPError():
		return false, complains(f, e)
	case dst.Addr() == f.Target.Addr() && portMatches(f, e, e.InnerDstPort) && from(f, src.Addr(), e.InnerSrcPort):
		return true, true
	case src.Addr() != f.Target.Addr() || !portMatches(f, e, e.InnerSrcPort):
		return false, false
	}
	client := e.InnerDstPort
	if _, reply := e.ICMPEcho(); reply {
		client = e.InnerSrcPort
	}
	return false, from(f, dst.Addr(), client)
}

func portMatches(f *diagnose.Flow, e *probe.Event, port uint16) bool {
	if f.Target.Port() == 0 {
		req, rep := e.ICMPEcho()
		return req || rep || e.Flags&probe.FlagFragment != 0
	}
	switch e.Proto {
	case probe.ProtoTCP:
		return port == f.Target.Port() && !f.UDP
	case probe.ProtoUDP:
		return port == f.Target.Port()
	}
	return false
}

// from reports whether the flow may have its requests from there.
func from(f *diagnose.Flow, a netip.Addr, port uint16) bool {
	c := f.Client
	return (!f.Source.IsValid() || f.Source.Contains(a)) && (!c.Addr().IsValid() || c.Addr() == a) && (c.Port() == 0 || c.Port() == port)
}

// complains reports whether an ICMP error, from the target or from a host on the way, is
// about a packet to the target. Of a message that carries one it is known only by what is
// inside; an older recording does not say what errors quote, but for a port.
func complains(f *diagnose.Flow, e *probe.Event) bool {
	_, to := e.Inner()
	proto, src, dst, ok := e.Quoted()
	switch {
	case e.Kind != probe.KindInner:
		return f.Errors.Message(e)
	case !ok:
		return (!f.Probe.Sent || f.Client.Port() == 0) && from(f, to.Addr(), f.Client.Port()) &&
			(f.Target.Port() == 0 || e.InnerDstPort == f.Target.Port())
	case dst.Addr() != f.Target.Addr() || !from(f, src.Addr(), src.Port()):
		return false
	case f.Target.Port() == 0:
		return proto == probe.ProtoICMP || proto == probe.ProtoICMPv6
	}
	return dst.Port() == f.Target.Port() && (proto == probe.ProtoTCP && !f.UDP || proto == probe.ProtoUDP)
}
