package recording

import (
	"net/netip"
	"strconv"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
)

// commenter writes the comments of packets: what people want to see of an event
// that the packet itself does not show. It is called for every packet, so it does
// without fmt.
type commenter struct {
	meta  *Meta
	peers map[probe.PeerID]string // as a comment calls them
	opt   eventtext.Options
}

func newCommenter(m *Meta) *commenter {
	return &commenter{meta: m, peers: make(map[probe.PeerID]string)}
}

// peer is what a comment calls a peer.
func (c *commenter) peer(id probe.PeerID) string {
	name, ok := c.peers[id]
	if !ok {
		name = eventtext.PeerName(id, c.meta, &c.opt)
		c.peers[id] = name
	}
	return name
}

// append appends the comment of an event:
//
//	A1 tun-read alice match 192.168.200.0/24
//	A4 udp-send alice: 10.0.0.1:45734 > 192.168.200.22:80 tcp match 192.168.200.0/24
//	A6 tun-write alice match 192.168.200.0/24 index 0x1a2b3c4d counter 7
func (c *commenter) append(b []byte, e *probe.Event, in Interface, made bool) []byte {
	if e.Checkpoint != probe.CheckpointNone {
		b = append(append(b, e.Checkpoint.String()...), ' ')
	}
	b = append(b, e.Seam.String()...)
	if e.Peer != 0 {
		b = append(append(b, ' '), c.peer(e.Peer)...)
	}
	if in == Note {
		return eventtext.AppendDetail(append(b, ": "...), e, &c.opt)
	}
	if in == Wire {
		b = c.wire(b, e)
	}
	if p := e.Prefix(); p.IsValid() {
		b = p.AppendTo(append(b, " match "...))
	}
	if (in == Inside || made) && (e.Receiver != 0 || e.Counter != 0) {
		b = strconv.AppendUint(append(b, " index 0x"...), uint64(e.Receiver), 16)
		b = strconv.AppendUint(append(b, " counter "...), e.Counter, 10)
	}
	if e.Flags&probe.FlagEndpointMoved != 0 {
		b = append(b, " moved-endpoint"...)
	}
	if e.Flags&probe.FlagPeerMismatch != 0 {
		b = append(b, " peer-mismatch"...)
	}
	if e.Dropped() {
		b = append(append(b, " DROP "...), e.Reason.String()...)
	}
	if made {
		b = append(b, " (made from the event)"...)
	}
	return b
}

// wire appends what is in a message.
func (c *commenter) wire(b []byte, e *probe.Event) []byte {
	if k, ok := e.StaticKey(); ok {
		return append(append(b, " from "...), k.String()...)
	}
	src, dst := e.Inner()
	if !src.Addr().IsValid() && !dst.Addr().IsValid() {
		return b
	}
	b = appendInner(append(b, ": "...), src)
	b = appendInner(append(b, " > "...), dst)
	return append(append(b, ' '), probe.ProtocolName(e.Proto)...)
}

func appendInner(b []byte, a netip.AddrPort) []byte {
	switch {
	case !a.Addr().IsValid():
		return append(b, '?')
	case a.Port() == 0:
		return a.Addr().AppendTo(b)
	}
	return a.AppendTo(b)
}
