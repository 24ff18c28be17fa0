package probe

import "fmt"

// Seam is a place where a packet passes between wgnode and what lies around
// it.
type Seam uint8

// The seams. SeamDevice stands for what the WireGuard device itself, or the
// kernel by way of the UDP socket's error queue, says of a packet. SeamForward
// is where a node without an interface passes on by sockets of its host what
// peers send to others.
const (
	SeamNone Seam = iota
	SeamTUNRead
	SeamTUNWrite
	SeamUDPSend
	SeamUDPReceive
	SeamDevice
	SeamForward
)

var seamNames = []string{"", "tun-read", "tun-write", "udp-send", "udp-receive", "device", "forward"}

func (s Seam) String() string { return nameOf(seamNames, uint8(s)) }

// Checkpoint is one of A1 to A6 and B1 to B8; see the package comment.
type Checkpoint uint8

// The checkpoints, in the order in which a flow's first packet and its reply
// pass them on each side. CheckpointNone is the checkpoint of an event that
// is none of them, or (for data just received, still encrypted) not yet known.
const (
	CheckpointNone Checkpoint = iota
	A1
	A2
	A3
	A4
	A5
	A6
	B1
	B2
	B3
	B4
	B5
	B6
	B7
	B8
)

var checkpointNames = []string{"", "A1", "A2", "A3", "A4", "A5", "A6",
	"B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8"}

func (c Checkpoint) String() string { return nameOf(checkpointNames, uint8(c)) }

// Kind is what kind of message or packet an event is about.
type Kind uint8

// The kinds: the four WireGuard messages (keepalives apart from data), the
// inner packet, and three that are no packets of the flow itself.
const (
	KindNone       Kind = iota
	KindInner           // an inner packet, at one of the TUN seams
	KindInitiation      // handshake initiation
	KindResponse        // handshake response
	KindCookie          // cookie reply
	KindData            // transport data
	KindKeepalive       // transport data without content
	KindOther           // a datagram that is no WireGuard message
	KindEndpoint        // a peer's endpoint changed: OuterSrc is the old one, OuterDst the new; see FlagEndpointMoved
	KindICMP            // an ICMP error about a datagram sent to OuterDst; OuterSrc is who sent it
	KindNetwork         // this host's network changed: see NetworkChange
)

var kindNames = []string{"", "inner", "initiation", "response", "cookie", "data", "keepalive",
	"other", "endpoint", "icmp-error", "network"}

func (k Kind) String() string { return nameOf(kindNames, uint8(k)) }

// Reason says why a packet went no further. The zero Reason means that it
// passed. The names are a public contract: metrics and filters use them.
type Reason uint8

// Reasons on the way into the tunnel, then on the way out of it.
const (
	ReasonNone Reason = iota

	NoAllowedIPsMatch // the destination is in no peer's AllowedIPs
	NoEndpoint        // the peer has no endpoint
	NotIP             // neither IPv4 nor IPv6, or too short for its header
	StagedOverflow    // more packets than the device keeps while it has no session
	HandshakeGaveUp   // no handshake within 90 s; the waiting packets were discarded
	PeerRemoved       // the peer was removed, or the device taken down
	SendError         // the UDP socket refused it
	TUNWriteError     // the TUN device refused it
	ICMPPortUnreachable
	ICMPHostUnreachable
	ICMPNetUnreachable
	ICMPProhibited
	ICMPOther

	TooShort             // shorter than any WireGuard message
	BadLength            // wrong length for its message type
	UnknownType          // no WireGuard message type
	UnknownIndex         // receiver index of no session of ours
	ExpiredKey           // the session is older than 180 s
	AuthenticationFailed // does not decrypt with the session's key
	Replayed             // the counter was seen before, or is too old
	QueueFull            // the handshake queue was full
	BadInnerPacket       // decrypted, but no valid IP packet
	DisallowedSource     // decrypted, but the inner source is not the peer's
	InvalidMAC1          // not made for this node's public key
	UnknownPeer          // the initiator's static key is no configured peer
	InvalidInitiation    // mac1 is right, the rest does not decrypt
	HandshakeReplay      // timestamp not newer than the last one
	HandshakeFlood       // more than 50 initiations a second
	UnderLoad            // answered with a cookie, or rate-limited
	ResponseRejected     // answers our latest initiation, but does not decrypt
	ResponseStale        // answers no outstanding initiation of ours
	CookieRejected       // cookie reply that does not decrypt
	LostInDevice         // entered the device and never left it; cause not known
	numReasons
)

var reasonNames = []string{"",
	"no-allowedips-match", "no-endpoint", "not-ip", "staged-overflow", "handshake-gave-up",
	"peer-removed", "send-error", "tun-write-error", "icmp-port-unreachable",
	"icmp-host-unreachable", "icmp-net-unreachable", "icmp-prohibited", "icmp-other",
	"too-short", "bad-length", "unknown-type", "unknown-index", "expired-key",
	"authentication-failed", "replayed", "queue-full", "bad-inner-packet", "disallowed-source",
	"invalid-mac1", "unknown-peer", "invalid-initiation", "handshake-replay", "handshake-flood",
	"under-load", "response-rejected", "response-stale", "cookie-rejected", "lost-in-device",
}

func (r Reason) String() string { return nameOf(reasonNames, uint8(r)) }

// NumReasons is the number of reasons, ReasonNone included: the length of an
// array that counts by reason.
const NumReasons = int(numReasons)

// ParseSeam, ParseCheckpoint, ParseKind and ParseReason are the inverses of
// the String methods, and report whether there is such a name. Checkpoints may
// be given in lower case.
func ParseSeam(s string) (Seam, bool) { v, ok := indexOf(seamNames, s); return Seam(v), ok }

// ParseCheckpoint is described at [ParseSeam].
func ParseCheckpoint(s string) (Checkpoint, bool) {
	if len(s) == 2 && (s[0] == 'a' || s[0] == 'b') {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	v, ok := indexOf(checkpointNames, s)
	return Checkpoint(v), ok
}

// ParseKind is described at [ParseSeam].
func ParseKind(s string) (Kind, bool) { v, ok := indexOf(kindNames, s); return Kind(v), ok }

// ParseReason is described at [ParseSeam].
func ParseReason(s string) (Reason, bool) { v, ok := indexOf(reasonNames, s); return Reason(v), ok }

// Names lists the names of the seams, checkpoints, kinds and reasons, for
// completion and error messages.
func Names() (seams, checkpoints, kinds, reasons []string) {
	return seamNames[1:], checkpointNames[1:], kindNames[1:], reasonNames[1:]
}

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func indexOf(names []string, s string) (uint8, bool) {
	for i, n := range names {
		if i > 0 && n == s {
			return uint8(i), true
		}
	}
	return 0, false
}
