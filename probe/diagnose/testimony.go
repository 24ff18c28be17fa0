package diagnose

import "net/netip"

// Testimony is what a host found out beside the events of its tunnel, about one flow
// or about all messages of the tunnel outside of it. It is kept in recordings, so
// that others can judge later what the host has seen: keys may be added to its JSON
// form, none is renamed.
type Testimony struct {
	// Target is the flow's destination, and Side the host's; both are empty in the
	// one testimony that is about all messages.
	Target netip.AddrPort `json:"target,omitzero"`
	Side   Side           `json:"side,omitempty"`
	Route  Route          `json:"route"` // of the target
	// Kernel is what was seen of the flow's packets; of all messages only what could
	// not be seen.
	Kernel *Kernel `json:"kernel"`
	// Wire is, of all messages, what was seen of those from and to each address.
	Wire []WireTestimony `json:"wire,omitempty"`
}

// WireTestimony is what a host's kernel did with messages to and from one address.
type WireTestimony struct {
	Remote netip.AddrPort `json:"remote"`
	Peer   string         `json:"peer,omitempty"` // public key in base64; "" if it is no peer's endpoint
	Way    Route          `json:"way"`            // where messages to the address go
	From   Passage        `json:"from"`
	To     Passage        `json:"to"`
}
