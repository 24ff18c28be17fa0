package walk

import (
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Facts are what was seen of one packet and its reply. What was not seen is nil
// or empty.
type Facts struct {
	Interface, Target string
	// Level is how much the tunnel's events tell; "" is that of wgnode's own device.
	Level          probe.Level
	Peer, PeerName string // that cryptokey routing gives the target to
	Packet         string // in words: "tcp 10.0.0.1:4000 > 192.0.2.1:80"

	// Stack says that inner packets pass a userspace network stack, so that the
	// kernel has no part in them.
	Stack bool
	// Blind is why netfilter cannot be watched, "" if it is.
	Blind string
	// Limits are what may happen unseen, one sentence each.
	Limits []string

	// Inner and Outer are where routing leads the packet, and the encrypted one;
	// Rerouted where it leads it after output has changed its mark.
	Inner, Rerouted, Outer *evidence.RouteDecision
	// Out and In are the traversals of the packet to the tunnel and of the reply
	// from it, with what they met.
	Out, In *evidence.Traversal
	// Sent and Received are those of the encrypted packets, Initiation and
	// Response those of the handshake.
	Sent, Received, Initiation, Response *evidence.Traversal
	// Unanswered are the initiations before Initiation, in order: the packet waited for them, too.
	Unanswered []Attempt
	// SentOther and ReceivedOther say in which respect Sent and Received are not of
	// the very packets but of some like them, "" if they are.
	SentOther, ReceivedOther string

	// Seen are the tunnel's events, by checkpoint: A1 to A6.
	Seen [probe.A6 + 1]*probe.Event
	// SendError is why the socket refused an encrypted packet, "" if it did not.
	SendError string
	// NetworkError is what a router or host, or this host's kernel, answered the
	// encrypted packet with: "ICMP port unreachable from 203.0.113.2".
	NetworkError string
	// Claim is the same of an answer that does not quote the packet: anybody could have
	// sent it.
	Claim string
	// Complaint is the traversal of that answer if the tunnel's socket has not got
	// it, nil if it has.
	Complaint *evidence.Traversal
	// InnerError is the same of the inner packet, from behind the tunnel.
	InnerError string

	Answer Answer
}

// Attempt is a handshake initiation whose response did not come to the tunnel.
type Attempt struct {
	Event *probe.Event
	// Sent and Response are the traversals of the two, nil if they were not seen.
	Sent, Response *evidence.Traversal
}

// Answer is what the application got.
type Answer struct {
	Answered bool
	Text     string        // "connected", "connection refused", "nothing within 3 s"
	Took     time.Duration // until the answer
}
