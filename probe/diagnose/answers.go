package diagnose

import "github.com/wgnode/wgnode/probe"

// Answers tells what answers a request from what only goes the same way: what a connection
// repeats that is older than what may be wrong, though nothing that is asked comes through;
// an echo reply that was still on its way.
type Answers struct {
	conns  []conn
	echoes []echo
	asked  int  // connections that ask, though of some there was no room
	any    bool // something asked was answered,
	came   bool // or something came that could have been

	// Of what says nothing of who asked for it:
	last  int64 // the latest slot in which something of TCP came back,
	slots int   // and in how many something did
}

// conn is a connection of TCP.
type conn struct {
	client probe.Addr
	port   uint16
	begun  bool   // something that it sent is known, and
	high   uint32 // this is the sequence number behind all of that
	asks   bool   // has asked for something
	// answered: something that it asked was, since it began. What resets it then refuses nothing.
	answered bool
	// What shows that it is answered, as of the first request that is known; before one is,
	// what shows that the first packet has had an effect, if it has a time. told: there is any.
	// stamp is 0 for any: of what was not sent before no earlier copy may be answered.
	told       bool
	end, stamp uint32
}

type echo struct {
	client  probe.Addr
	id, seq uint16
}

const (
	// connsKept and echoesKept bound what is remembered. Of more connections than these every
	// one may have asked; of echo requests the oldest are forgotten.
	connsKept, echoesKept = 32, 32
	// slot is a span in nanoseconds, and steadySlots in how many of them something must
	// come back for a connection to be alive that is not seen to ask, as a long download of
	// which the packets have no time. What goes unacknowledged is repeated after 0.2 s at the
	// soonest, and then after twice as long each time (RFC 6298, and TCP_RTO_MIN of Linux):
	// nine times in 50 s.
	slot        = int64(100e6)
	steadySlots = 10
)

// Add takes an inner packet into account, and reports whether it may be an answer: to
// something that was asked since the last Reset. Of protocols that do not tell, all that
// comes back is one.
func (a *Answers) Add(e *probe.Event, forth bool) bool {
	switch request, reply := e.ICMPEcho(); {
	case e.Seam == probe.SeamForward && e.Proto != probe.ProtoTCP: // a socket's, with numbers of its own
	case e.Proto == probe.ProtoTCP && forth:
		a.sent(e)
	case e.Proto == probe.ProtoTCP:
		return e.TCPFlags()&probe.TCPRst != 0 || a.segment(e)
	case request && forth:
		if len(a.echoes) == echoesKept {
			a.echoes = append(a.echoes[:0], a.echoes[1:]...)
		}
		a.echoes = append(a.echoes, echo{e.InnerSrc, e.InnerSrcPort, e.InnerDstPort})
		return false
	case reply && !forth:
		stale := a.Stale(e)
		a.came, a.any = true, a.any || !stale
		return !stale
	}
	return !forth
}

// Stale reports whether a packet that comes back, or the message that it is in, is the
// reply to an echo request that was sent before those that are known.
func (a *Answers) Stale(e *probe.Event) bool {
	if _, reply := e.ICMPEcho(); !reply {
		return false
	}
	others := false
	for i := range a.echoes {
		if r := &a.echoes[i]; r.client == e.InnerDst && r.id == e.InnerSrcPort {
			if others = true; r.seq == e.InnerDstPort {
				return false
			}
		}
	}
	return others
}

// sent takes a segment that goes to the target into account.
func (a *Answers) sent(e *probe.Event) {
	c := a.conn(&e.InnerSrc, e.InnerSrcPort, true)
	s, told := e.Segment()
	if c == nil {
		return
	}
	asks, end := e.Asks(), s.End(e)
	switch {
	case asks && (!c.asks || e.Opens() && told && end != c.end): // a new connection may have an old one's ports
		c.asks, c.told, c.end, c.stamp = true, told, end, s.Stamp
		if e.Opens() {
			c.answered = false
		}
		if e.Opens() || c.begun && told && int32(s.Seq-c.high) >= 0 {
			c.stamp = 0 // each copy of the first segment is answered with the first one's time
		}
		a.asked++
	case !asks && !c.asks && !c.told && told && s.Stamp != 0:
		c.told, c.end, c.stamp = true, s.Seq, s.Stamp
	}
	if told && (!c.begun || e.Opens() || int32(end-c.high) > 0) {
		c.begun, c.high = true, end
	}
}

// segment takes a segment that comes back into account.
func (a *Answers) segment(e *probe.Event) bool {
	a.came = true
	c := a.conn(&e.InnerDst, e.InnerDstPort, false)
	if at := e.Time / slot; at != a.last && (c == nil || !c.told) {
		a.last = at
		a.slots++
	}
	if c == nil {
		full := len(a.conns) == connsKept
		a.any = a.any || full && a.asked > 0
		return full
	}
	answers := c.asks
	if covers, told := e.Acknowledges(c.end, c.stamp); c.told && told {
		answers = covers
	}
	a.any, c.answered = a.any || answers, c.answered || answers
	return answers
}

// Refuses reports whether a packet that comes back over TCP says no to a connection that has asked
// for something and that nothing has answered. A reset that comes later, or to what was not seen
// to ask, may be about a segment that was sent twice, or the end that both sides wanted.
func (a *Answers) Refuses(e *probe.Event) bool {
	if e.TCPFlags()&probe.TCPRst == 0 {
		return false
	}
	if c := a.conn(&e.InnerDst, e.InnerDstPort, false); c != nil {
		return c.asks && !c.answered
	}
	return len(a.conns) == connsKept && a.asked > 0 && !a.any
}

// conn finds a connection, or remembers a new one if there is room.
func (a *Answers) conn(client *probe.Addr, port uint16, remember bool) *conn {
	for i := range a.conns {
		if c := &a.conns[i]; c.port == port && c.client == *client {
			return c
		}
	}
	if !remember || len(a.conns) == connsKept {
		return nil
	}
	a.conns = append(a.conns, conn{client: *client, port: port})
	return &a.conns[len(a.conns)-1]
}

// Reset forgets what was asked, and whether it was answered.
func (a *Answers) Reset() {
	if len(a.conns) > connsKept/2 {
		a.conns = a.conns[:0]
	}
	for i := range a.conns {
		c := &a.conns[i]
		*c = conn{client: c.client, port: c.port, begun: c.begun, high: c.high, answered: c.answered}
	}
	*a = Answers{conns: a.conns, echoes: a.echoes[:0]}
}

// Given reports whether what has come back is an answer: all is that does not tell.
func (a *Answers) Given() bool { return !a.came || a.any || a.slots >= steadySlots }
