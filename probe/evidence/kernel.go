package evidence

import (
	"fmt"
	"slices"
)

// Segment is a part of the path of a flow's packets through this host's kernel,
// outside of the tunnel.
type Segment uint8

// The segments.
const (
	ToTunnel   Segment = iota // inner packets, from here or a network, into the tunnel
	ToWire                    // encrypted packets, from the tunnel's socket
	FromWire                  // encrypted packets, to the tunnel's socket
	FromTunnel                // inner packets, out of the tunnel to here or a network

	// NoSegment is one that is not known, or that only a later release knows.
	NoSegment Segment = 0xff
)

var segmentNames = [...]string{ToTunnel: "to-tunnel", ToWire: "to-wire", FromWire: "from-wire", FromTunnel: "from-tunnel"}

// Known reports whether s is a segment.
func (s Segment) Known() bool { return int(s) < len(segmentNames) }

// String is "to-tunnel" and the like, "" if it is not known.
func (s Segment) String() string {
	if !s.Known() {
		return ""
	}
	return segmentNames[s]
}

// MarshalText makes it a word in JSON.
func (s Segment) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads that; a word that it does not know is [NoSegment].
func (s *Segment) UnmarshalText(text []byte) error {
	*s = NoSegment
	if i := slices.Index(segmentNames[:], string(text)); i >= 0 {
		*s = Segment(i)
	}
	return nil
}

// KernelEvidence is what was seen of a flow's packets in this host's kernel.
type KernelEvidence struct {
	// Blind is why netfilter could not be watched, "" if it was.
	Blind string `json:"blind,omitempty"`
	// Limits are what may have happened unseen, one sentence each, such as that
	// rules of legacy iptables are not traced.
	Limits []string `json:"limits,omitempty"`
	// Lost is how many events of the trace were lost because they were not read
	// in time.
	Lost uint64 `json:"lost,omitempty"`
	// DropsBlind is why the kernel's own account of drops could not be had, "" if it was. It
	// is among the limits, too.
	DropsBlind string `json:"drops_blind,omitempty"`
	// DropsMissed is how many packets the kernel has dropped that look like these and were
	// counted alone.
	DropsMissed uint64 `json:"drops_missed,omitempty"`
	// Hooks are what is on the way of packets through this host and may drop them unseen.
	Hooks []Hook `json:"hooks,omitempty"`
	// Counters are those of the kernel that have risen meanwhile, in the order of their
	// names.
	Counters []Counter `json:"counters,omitempty"`
	// WireOnly: only encrypted packets were looked at.
	WireOnly bool `json:"wire_only,omitempty"`

	// What was seen on each segment.
	ToTunnel   Traversal `json:"to_tunnel,omitzero"`
	ToWire     Traversal `json:"to_wire,omitzero"`
	FromWire   Traversal `json:"from_wire,omitzero"`
	FromTunnel Traversal `json:"from_tunnel,omitzero"`
}

// On returns what was seen on a segment, for reading and writing. Nothing was seen where
// k is nil.
func (k *KernelEvidence) On(s Segment) *Traversal {
	if k == nil {
		return new(Traversal)
	}
	return [...]*Traversal{ToTunnel: &k.ToTunnel, ToWire: &k.ToWire, FromWire: &k.FromWire, FromTunnel: &k.FromTunnel}[s]
}

// Missed says what may have happened unseen although packets were followed, one
// sentence each.
func (k *KernelEvidence) Missed() []string {
	if k.Lost == 0 {
		return k.Limits
	}
	return append(slices.Clone(k.Limits), fmt.Sprintf("%d trace events were lost", k.Lost))
}
