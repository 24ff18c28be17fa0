package probe

import "fmt"

// An event is written with the numbers of these constants: to files, and over the
// control socket. So a number never changes, and none is used again; what is new gets
// the next one. The names are a public contract too: metrics, filters and JSON have them.
// A reader keeps a number that it does not know: what it calls "unknown(77)" has its
// name again in a later release.

// Seam is a place where a packet passes between wgnode and what lies around
// it.
type Seam uint8

// The seams. SeamDevice stands for what the WireGuard device itself, or the
// kernel by way of the UDP socket's error queue, says of a packet. SeamForward
// is where a node without an interface passes on by sockets of its host what
// peers send to others.
const (
	SeamNone       Seam = 0
	SeamTUNRead    Seam = 1
	SeamTUNWrite   Seam = 2
	SeamUDPSend    Seam = 3
	SeamUDPReceive Seam = 4
	SeamDevice     Seam = 5
	SeamForward    Seam = 6
)

// seams is the table of seams. Its order is that in which a packet passes them, for
// events of one instant.
var seams = [...]struct {
	name, direction string
	order           uint8
}{
	SeamNone:       {},
	SeamTUNRead:    {name: "tun-read", direction: "out", order: 0},
	SeamUDPSend:    {name: "udp-send", direction: "out", order: 1},
	SeamUDPReceive: {name: "udp-receive", direction: "in", order: 2},
	SeamTUNWrite:   {name: "tun-write", direction: "in", order: 3},
	SeamForward:    {name: "forward", order: 4},
	SeamDevice:     {name: "device", order: 5},
}

func (s Seam) String() string { return nameOf(seamNames, uint8(s)) }

// Direction is "out" of a seam that packets pass on their way into the tunnel, "in" of
// one on the way out of it, and "" of the others.
func (s Seam) Direction() string {
	if int(s) < len(seams) {
		return seams[s].direction
	}
	return ""
}

// order ranks s among seams that were passed in one instant.
func (s Seam) order() uint8 {
	if int(s) < len(seams) {
		return seams[s].order
	}
	return 0
}

// Kind is what kind of message or packet an event is about.
type Kind uint8

// The kinds: the four WireGuard messages (keepalives apart from data), the
// inner packet, and three that are no packets of the flow itself.
const (
	KindNone       Kind = 0
	KindInner      Kind = 1  // an inner packet, at one of the TUN seams
	KindInitiation Kind = 2  // handshake initiation
	KindResponse   Kind = 3  // handshake response
	KindCookie     Kind = 4  // cookie reply
	KindData       Kind = 5  // transport data
	KindKeepalive  Kind = 6  // transport data without content
	KindOther      Kind = 7  // a datagram that is not a WireGuard message
	KindEndpoint   Kind = 8  // a peer's endpoint changed: OuterSrc is the old one, OuterDst the new; see FlagEndpointMoved
	KindICMP       Kind = 9  // an ICMP error about a datagram sent to OuterDst; OuterSrc is who sent it; see Event.ICMP
	KindNetwork    Kind = 10 // this host's network changed: see NetworkChange
)

var kindNames = []string{
	KindNone:       "",
	KindInner:      "inner",
	KindInitiation: "initiation",
	KindResponse:   "response",
	KindCookie:     "cookie",
	KindData:       "data",
	KindKeepalive:  "keepalive",
	KindOther:      "other",
	KindEndpoint:   "endpoint",
	KindICMP:       "icmp-error",
	KindNetwork:    "network",
}

func (k Kind) String() string { return nameOf(kindNames, uint8(k)) }

// The names in the tables, by number.
var (
	seamNames       = namesOf(len(seams), func(i int) string { return seams[i].name })
	checkpointNames = namesOf(len(checkpoints), func(i int) string { return checkpoints[i].name })
	reasonNames     = namesOf(len(reasons), func(i int) string { return reasons[i].name })
)

func namesOf(n int, name func(int) string) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = name(i)
	}
	return names
}

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
// completion and error messages. The slices must not be changed.
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
