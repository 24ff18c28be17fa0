package eventtext

import (
	"time"

	"github.com/wgnode/wgnode/probe/schema"
)

// Object is an event as JSON, for programs that read what [AppendJSON] writes: it has
// all keys. Keys may be added, none is renamed. What does not apply is left out.
type Object struct {
	Schema schema.Version `json:"schema"`
	Time   time.Time      `json:"time"`           // of the packet, UTC, with nanoseconds
	Seq    uint64         `json:"seq"`            // position in the ring of the seam
	Pair   uint64         `json:"pair,omitempty"` // seq of the same packet at its first seam

	Seam       string `json:"seam,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Verdict    string `json:"verdict"`             // "passed" or "dropped"
	Reason     string `json:"reason,omitempty"`    // why it was dropped
	Direction  string `json:"direction,omitempty"` // "out", into the tunnel, or "in", out of it
	Peer       string `json:"peer,omitempty"`      // public key in base64
	PeerName   string `json:"peer_name,omitempty"`

	// Network is there if this event is a change of the host's network.
	Network struct {
		// Change is "default-route", "source", "address-gone", "link-down", "link-up",
		// "resume", "mtu" or another of these names.
		Change  string `json:"change"`
		Old     string `json:"old,omitempty"` // an address
		New     string `json:"new,omitempty"` // an address
		OldLink string `json:"old_link,omitempty"`
		NewLink string `json:"new_link,omitempty"`
		OldMTU  uint32 `json:"old_mtu,omitempty"` // in bytes
		NewMTU  uint32 `json:"new_mtu,omitempty"` // in bytes
		Asleep  uint64 `json:"asleep,omitempty"`  // how long the host slept, in seconds
		Program string `json:"program,omitempty"` // that made the change
		PID     uint32 `json:"pid,omitempty"`     // process of the program
		Times   uint64 `json:"times,omitempty"`   // how often it made the change
	} `json:"network,omitzero"`

	// Inner is the packet inside the tunnel.
	Inner struct {
		Src      string `json:"src,omitempty"`
		Dst      string `json:"dst,omitempty"`
		SPort    uint16 `json:"sport,omitempty"`
		DPort    uint16 `json:"dport,omitempty"`
		Proto    string `json:"proto,omitempty"`     // "tcp", "udp", "icmp", "icmp6", or a number as a string
		Len      uint16 `json:"len,omitempty"`       // in bytes
		TCPFlags string `json:"tcp_flags,omitempty"` // as tcpdump writes them
		ICMPType uint8  `json:"icmp_type,omitempty"`
		ICMPID   uint16 `json:"icmp_id,omitempty"`  // of an echo request or reply
		ICMPSeq  uint16 `json:"icmp_seq,omitempty"` // of an echo request or reply
		ICMPCode uint16 `json:"icmp_code,omitempty"`

		// Quoted is there if the packet is an ICMP error that is about a packet of the host
		// that it goes to: that packet.
		Quoted struct {
			Src     string `json:"src,omitempty"`
			Dst     string `json:"dst,omitempty"`
			Proto   string `json:"proto,omitempty"` // as above
			SPort   uint16 `json:"sport,omitempty"`
			DPort   uint16 `json:"dport,omitempty"`
			ICMPID  uint16 `json:"icmp_id,omitempty"`
			ICMPSeq uint16 `json:"icmp_seq,omitempty"`
		} `json:"quoted,omitzero"`
		// NodeSays is there if a wgnode says by that error that it has dropped the packet
		// itself: the reason, as of a drop.
		NodeSays string `json:"node_says,omitempty"`

		Fragment  bool `json:"fragment,omitempty"`  // it is a fragment of an IP packet
		Truncated bool `json:"truncated,omitempty"` // there is less of it than its header says
	} `json:"inner,omitzero"`

	// Endpoint is there if this event is a change of the peer's endpoint.
	Endpoint struct {
		Old string `json:"old,omitempty"` // address and port
		New string `json:"new,omitempty"` // address and port
		Set bool   `json:"set,omitempty"` // this node did it, and not a packet
	} `json:"endpoint,omitzero"`

	// Outer is the encrypted packet. Of an ICMP error src is its sender, and dst the
	// endpoint that it is about.
	Outer struct {
		Src string `json:"src,omitempty"` // address and port
		Dst string `json:"dst,omitempty"` // address and port
		Len uint16 `json:"len,omitempty"` // of the UDP payload, in bytes
	} `json:"outer,omitzero"`

	// Kernel is there if the kernel of this host has dropped the packet, which then is at no
	// seam: seq is 0, and reason is the kernel's, such as TC_EGRESS.
	Kernel Drop `json:"kernel,omitzero"`

	AllowedIP     string `json:"allowed_ip,omitempty"`     // the prefix of AllowedIPs that matched
	Receiver      uint32 `json:"receiver,omitempty"`       // index of a session
	Sender        uint32 `json:"sender,omitempty"`         // index of a session
	Counter       uint64 `json:"counter,omitempty"`        // of a data message
	StaticKey     string `json:"static_key,omitempty"`     // public key of an initiator that is no peer
	EndpointMoved bool   `json:"endpoint_moved,omitempty"` // the packet changed the peer's endpoint
	PeerMismatch  bool   `json:"peer_mismatch,omitempty"`  // the device chose another peer than AllowedIPs says
}
