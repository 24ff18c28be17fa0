package transit

import (
	"net"
	"syscall"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// witness tells of what passes B5 and B6 of one flow.
type witness struct {
	record func(*probe.Event)
	flow   netstack.Flow
}

// sent tells of what was given to the host's socket: a packet, or as much of a
// connection's data as was there. Info is that of [probe.Event].
func (w witness) sent(length int, info uint8) {
	e := w.event(probe.B5, length)
	e.Info = info
	w.record(&e)
}

// got tells of what came back from it.
func (w witness) got(length int, info uint8) {
	e := w.event(probe.B6, length)
	e.Info = info
	e.InnerSrc, e.InnerDst = e.InnerDst, e.InnerSrc
	if w.flow.Proto == probe.ProtoTCP || w.flow.Proto == probe.ProtoUDP { // else it stays the identifier
		e.InnerSrcPort, e.InnerDstPort = e.InnerDstPort, e.InnerSrcPort
	}
	w.record(&e)
}

// refused tells that nobody listens at the far side: by a reset, or for UDP by
// ICMP "port unreachable".
func (w witness) refused() {
	if w.flow.Proto == probe.ProtoTCP {
		w.got(0, probe.TCPRst|probe.TCPAck)
		return
	}
	const unreachable4, port4 = 3, 3
	const unreachable6, port6 = 1, 4
	e := w.event(probe.B6, 0)
	e.InnerSrc, e.InnerDst = e.InnerDst, e.InnerSrc
	if e.Proto = probe.ProtoICMP; w.flow.To.Addr().Is6() {
		e.Proto = probe.ProtoICMPv6
		e.SetICMP(unreachable6, port6)
	} else {
		e.SetICMP(unreachable4, port4)
	}
	e.Quote(w.flow.Proto, w.flow.From.Port(), w.flow.To)
	w.record(&e)
}

// event is one about a packet from the peer.
func (w witness) event(at probe.Checkpoint, length int) probe.Event {
	return probe.Event{Seam: probe.SeamForward, Checkpoint: at, Kind: probe.KindInner, Proto: w.flow.Proto,
		InnerLen: uint16(min(length, 65535)), PrefixBits: probe.NoPrefix,
		InnerSrc: probe.AddrFrom(w.flow.From.Addr()), InnerSrcPort: w.flow.From.Port(),
		InnerDst: probe.AddrFrom(w.flow.To.Addr()), InnerDstPort: w.flow.To.Port()}
}

// reasons are what the network says to a packet, and how far the packet was by then.
var reasons = map[syscall.Errno]struct {
	at  probe.Checkpoint
	why probe.Reason
}{
	syscall.ENETUNREACH:  {probe.B5, probe.ICMPNetUnreachable},
	syscall.EACCES:       {probe.B5, probe.ICMPProhibited},
	syscall.EPERM:        {probe.B5, probe.ICMPProhibited},
	syscall.EHOSTUNREACH: {probe.B6, probe.ICMPHostUnreachable},
}

// failed tells of a packet that the network did not deliver, and returns what it
// said, 0 if nothing.
func (w witness) failed(err error) syscall.Errno {
	errno := errnoOf(err)
	if errno == syscall.ECONNREFUSED {
		w.refused()
	}
	if r, ok := reasons[errno]; ok {
		e := w.event(r.at, 0)
		e.Reason = r.why
		w.record(&e)
	}
	return errno
}

// refuse tells that a flow may not pass.
func refuse(record func(*probe.Event), f netstack.Flow) {
	e := witness{record, f}.event(probe.B5, 0)
	e.Reason = probe.ICMPProhibited
	record(&e)
}

// witnessed is a connection of the host's whose data is told of. It embeds an interface
// so that nothing can be read or written past it.
type witnessed struct {
	net.Conn // a *net.TCPConn
	w        witness
}

// CloseWrite ends the direction that is written to.
func (c *witnessed) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// SetLinger is that of [net.TCPConn].
func (c *witnessed) SetLinger(sec int) error { return c.Conn.(*net.TCPConn).SetLinger(sec) }

// Read implements [net.Conn].
func (c *witnessed) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.w.got(n, probe.TCPAck)
	}
	return n, err
}

// Write implements [net.Conn].
func (c *witnessed) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.w.sent(n, probe.TCPAck)
	}
	return n, err
}
