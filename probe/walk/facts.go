package walk

import (
	"time"

	"github.com/wgnode/wgnode/probe"
)

// Facts are what was seen of one packet and its reply. What was not seen is nil
// or empty.
type Facts struct {
	Interface, Target string
	Peer, PeerName    string // that cryptokey routing gives the target to
	Packet            string // in words: "tcp 10.0.0.1:4000 > 192.0.2.1:80"

	// Stack says that inner packets pass a userspace network stack, so that the
	// kernel has no part in them.
	Stack bool
	// Blind is why netfilter cannot be watched, "" if it is.
	Blind string
	// Limits are what may happen unseen, one sentence each.
	Limits []string

	// Inner and Outer are where routing leads the packet, and the encrypted one;
	// Rerouted where it leads it after output has changed its mark.
	Inner, Rerouted, Outer *Way
	// Out and In are the packet's way to the tunnel and the reply's from it.
	Out, In *Passage
	// Sent and Received are those of the encrypted packets, Initiation and
	// Response those of the handshake.
	Sent, Received, Initiation, Response *Passage

	// Seen are the tunnel's events, by checkpoint: A1 to A6.
	Seen [probe.A6 + 1]*probe.Event
	// SendError is why the socket refused an encrypted packet, "" if it did not.
	SendError string
	// NetworkError is what a router or host, or this host's kernel, answered the
	// encrypted packet with: "ICMP port unreachable from 203.0.113.2".
	NetworkError string
	// InnerError is the same of the inner packet, from behind the tunnel.
	InnerError string

	Answer Answer
}

// Answer is what the application got.
type Answer struct {
	Answered bool
	Text     string        // "connected", "connection refused", "nothing within 3 s"
	Took     time.Duration // until the answer
}

// Way is a routing decision.
type Way struct {
	Result   string   // "default dev wg0 table 51820, by rule 32765: ..."
	Link     string   // that the packet leaves by; "" if it stays, or may take several
	Mark     uint32   // that it was looked up with
	Rejects  bool     // it leads nowhere
	Evidence []string // each rule tried, and what came of it
	// NextHop says what is known of the neighbour that must take the packet, and
	// Silent that it does not answer.
	NextHop string
	Silent  bool
}

// Passage is the way of one packet through the hooks of this host's kernel.
type Passage struct {
	Packet string // as it was first seen: "udp 192.0.2.2:51821 > 192.0.2.1:51820, 124 bytes"
	// Other says in which respect this is not the very packet but one like it, ""
	// if it is the one.
	Other      string
	In, Out    string // links
	Visits     []Visit
	Incomplete bool // some of what it met was missed

	Drop *Drop  // what dropped it
	Lost string // the hook after which it was not seen any more, though nothing dropped it
	End  string // the last hook, if it passed that: "input" or "postrouting"

	// Check is what the kernel makes of source and destination of what comes in.
	Check *Check
}

// Visit is what a packet met in one base chain.
type Visit struct {
	Hook    string
	Chain   string   // "inet filter input (filter hook input priority 0, policy drop)"
	Verdict string   // the last: "accept", "policy drop"
	Lines   []string // where the packet was changed, the rules that matched, and the policy
}

// Drop is what dropped a packet.
type Drop struct {
	Hook string
	// By is the rule with its chain, handle and text, or the policy:
	// "inet filter input handle 7: tcp dport 80 drop".
	By string
}

// Check is what routing makes of a packet that came in.
type Check struct {
	Drops    bool
	Result   string   // the verdict, in one line
	Evidence []string // what it rests on
}
