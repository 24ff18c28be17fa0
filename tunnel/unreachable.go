package tunnel

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/udp"
)

// ICMP records that a datagram of ours did not arrive: it is what a bind's
// [udp.Options.OnICMP] is meant to be. The event's kind is probe.KindICMP, and
// its peer the one whose endpoint the datagram was sent to. It does not block.
func (t *Tunnel) ICMP(e udp.ICMPError) {
	dst := netip.AddrPortFrom(e.Dst.Addr().Unmap().WithZone(""), e.Dst.Port())
	ev := probe.Event{
		Kind: probe.KindICMP, Peer: t.m.Peers.At(dst), Reason: unreachableReason(&e),
		OuterSrc: probe.AddrFrom(e.From.Unmap()),
		OuterDst: probe.AddrFrom(dst.Addr()), OuterDstPort: dst.Port(),
	}
	if !e.Local {
		ev.SetICMP(e.Type, e.Code)
		t.quotes(&ev, e.Data)
	}
	t.m.Record(ev)
}

// quotes records the index of the message that an ICMP error quotes, if it is one of ours
// to the event's peer: whoever is off the path cannot know it.
func (t *Tunnel) quotes(ev *probe.Event, msg []byte) {
	if len(msg) < 8 || ev.Peer == 0 {
		return
	}
	if t.PeerOf(msg, true) != ev.Peer {
		return
	}
	switch index := binary.LittleEndian.Uint32(msg[4:]); binary.LittleEndian.Uint32(msg) {
	case probe.TypeCookie, probe.TypeData:
		ev.Receiver = index
	default:
		ev.Sender = index
	}
}

// HeadLen is how many bytes of a message show whose it is.
const HeadLen = 12

// PeerOf returns the peer that a message was sent to or came from, by an index in its head
// that whoever is off the path cannot know; 0 if it has none of a peer's. An initiation that
// comes in has none before it was answered: see [Tunnel.Initiator].
func (t *Tunnel) PeerOf(head []byte, sent bool) probe.PeerID { return t.m.PeerOf(head, sent) }

// Initiator returns the peer that has made an initiation for this node, which need not have
// come to its socket; 0 if none has. Only who has a peer's private key, or has seen it
// pass, can send one that is the peer's. It returns false if there are too many to be read.
func (t *Tunnel) Initiator(msg []byte) (peer probe.PeerID, read bool) {
	return t.watch.Handshakes.Initiator(msg)
}

// unreachableReason says why the datagram did not arrive.
func unreachableReason(e *udp.ICMPError) probe.Reason {
	if e.Local {
		return errnoReason(e.Errno)
	}
	return probe.ICMPReason(e.V6, e.Type, e.Code)
}

// errnoReason is for what this host's kernel said without an ICMP message.
func errnoReason(errno syscall.Errno) probe.Reason {
	switch errno {
	case syscall.ENETUNREACH:
		return probe.ICMPNetUnreachable
	case syscall.EHOSTUNREACH:
		return probe.ICMPHostUnreachable
	case syscall.EACCES, syscall.EPERM:
		return probe.ICMPProhibited
	}
	return probe.ICMPOther
}
