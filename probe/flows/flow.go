package flows

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// Key tells flows of one tunnel apart. Client sent the first packet, as far as that is known,
// Server is who that was for. Of ICMP echoes Client's port is the identifier; other protocols
// without ports have port 0.
type Key struct {
	Peer           probe.PeerID
	Proto          uint8
	Client, Server netip.AddrPort
}

// String is the flow for people: "tcp 10.0.0.1:4000 > 10.0.0.2:80".
func (k Key) String() string {
	return fmt.Sprintf("%s %s > %s", probe.ProtocolName(k.Proto), endText(k.Client, k.Proto), endText(k.Server, k.Proto))
}

// endText leaves out the port of a protocol that has none.
func endText(a netip.AddrPort, proto uint8) string {
	if a.Port() == 0 || proto != probe.ProtoTCP && proto != probe.ProtoUDP {
		return a.Addr().String()
	}
	return a.String()
}

// Rung is what passed one checkpoint.
type Rung struct {
	Packets uint64 // that passed
	Bytes   uint64 // of them: of the packet in the tunnel, of a handshake's message the datagram
	Last    int64  // when the latest one did, in Unix nanoseconds; 0: none did
	Drops   uint64 // that came so far and no further
	DropAt  int64  // when the latest one was dropped
	Why     string // of the latest one that was dropped: its reason
}

// Seen reports whether anything came to the checkpoint.
func (r *Rung) Seen() bool { return r.Packets > 0 || r.Drops > 0 }

// Ladder is what passed each checkpoint.
type Ladder [probe.NumCheckpoints]Rung

// add counts an event that stands for so many.
func (l *Ladder) add(e *probe.Event, weight uint64) {
	if int(e.Checkpoint) >= len(l) {
		return // a later release's
	}
	r := &l[e.Checkpoint]
	if e.Dropped() {
		r.Drops += weight
		r.DropAt, r.Why = max(r.DropAt, e.Time), e.Reason.String()
		return
	}
	if e.Seam == probe.SeamDevice {
		return // it tells of a packet that was counted
	}
	r.Packets += weight
	r.Bytes += weight * uint64(max(e.InnerLen, handshakeLen(e)))
	r.Last = max(r.Last, e.Time)
}

// handshakeLen is the length of a handshake's message, which has no packet inside.
func handshakeLen(e *probe.Event) uint16 {
	switch e.Kind {
	case probe.KindInitiation, probe.KindResponse, probe.KindCookie:
		return e.OuterLen
	}
	return 0
}

// Flow is one flow, as far as it was seen.
type Flow struct {
	Key
	Side    probe.Side // A: this host's end, or one behind it, sent the first packet
	Ladder  Ladder
	Packets uint64 // at the seam where they are inside the tunnel's interface, both ways
	Bytes   uint64 // of these
	Drops   uint64
	Why     string // reason of the latest one that was dropped
	First   int64  // Unix nanoseconds
	Last    int64
	// Refused is what an ICMP error in the tunnel has said of a packet of the flow, "" if none has.
	Refused string
	Series  Series // bytes towards this host and from it

	older, newer *Flow // by Last, see Table
}

// Rungs are the checkpoints of the flow's side in order, with what passed each; those of
// handshakes are the peer's. peer may be nil.
func (f *Flow) Rungs(peer *Peer) (at []probe.Checkpoint, rungs []Rung) {
	at = probe.Checkpoints(f.Side)
	rungs = make([]Rung, len(at))
	for i, c := range at {
		rungs[i] = f.Ladder[c]
		if peer != nil && !c.OfFlow() && c.Seam() != probe.SeamForward {
			rungs[i] = peer.Ladder[c]
		}
	}
	return at, rungs
}

// KeyOf is the key of an event's flow. ok is false if it is of none, or does not say of which.
func KeyOf(e *probe.Event) (k Key, ok bool) {
	if !e.HasAddrs() || e.InnerSrc == (probe.Addr{}) || e.InnerDst == (probe.Addr{}) {
		return k, false
	}
	if proto, src, dst, quotes := e.Quoted(); quotes {
		// It is about a packet that went the other way.
		return keyBetween(e.Peer, proto, src, dst, !answers(e)), true
	}
	if e.ICMPError() {
		return k, false
	}
	src, dst := e.Inner()
	return keyBetween(e.Peer, e.Proto, src, dst, answers(e)), true
}

// keyBetween is the key of the flow of a packet; answer says that it was sent by the server.
func keyBetween(peer probe.PeerID, proto uint8, src, dst netip.AddrPort, answer bool) Key {
	k := Key{Peer: peer, Proto: proto, Client: src, Server: dst}
	if answer {
		k.Client, k.Server = dst, src
	}
	if proto == probe.ProtoICMP || proto == probe.ProtoICMPv6 {
		// The identifier is in the place of the sender's port, whichever way an echo goes, and
		// the sequence number in the other's.
		k.Client = netip.AddrPortFrom(k.Client.Addr(), src.Port())
		k.Server = netip.AddrPortFrom(k.Server.Addr(), 0)
	}
	return k
}

// answers reports whether an event's packet goes from the flow's server to its client.
func answers(e *probe.Event) bool {
	switch e.Checkpoint {
	case probe.A5, probe.A6, probe.B6, probe.B7, probe.B8:
		return true
	case probe.A1, probe.A4, probe.B3, probe.B4, probe.B5:
		return false
	}
	here := e.Flags&probe.FlagInitiatedHere != 0
	switch e.Seam.Direction() {
	case "out":
		return !here
	case "in":
		return here
	}
	return false
}

// sideOf is the side of the flow that an event is of.
func sideOf(e *probe.Event) probe.Side {
	if s := e.Checkpoint.Side(); s != "" {
		return s
	}
	if e.Flags&probe.FlagInitiatedHere != 0 {
		return probe.SideA
	}
	return probe.SideB
}

// compareKeys orders flows that are equal otherwise, so that lists do not jump.
func compareKeys(a, b Key) int {
	return cmp.Or(a.Server.Compare(b.Server), a.Client.Compare(b.Client), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Peer, b.Peer))
}
