package evidence

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/wgnode/wgnode/probe"
)

// version is that of the JSON form of [Observations]. Version 1 has none, and no
// tags: see v1.go.
const version = 2

// Observations are what a host found out beside the events of its tunnel, about one
// flow or about all messages of the tunnel outside of it. They are kept in
// recordings, so that others can judge later what the host has seen: keys may be
// added to their JSON form, none is renamed.
type Observations struct {
	// Target is the flow's destination, and Side the host's; both are empty in the
	// one value that is about all messages.
	Target netip.AddrPort `json:"target,omitzero"`
	Side   probe.Side     `json:"side,omitempty"`
	Route  RouteDecision  `json:"route,omitzero"` // of the target
	// Kernel is what was seen of the flow's packets; of all messages only what could
	// not be seen.
	Kernel *KernelEvidence `json:"kernel"`
	// Wire is, of all messages, what was seen of those from and to each address.
	Wire []WireObservations `json:"wire,omitempty"`
}

// WireObservations are what a host's kernel did with messages to and from one
// address.
type WireObservations struct {
	Remote netip.AddrPort `json:"remote"`
	Peer   string         `json:"peer,omitempty"` // public key in base64; "" if it is no peer's endpoint
	Route  RouteDecision  `json:"route,omitzero"` // where messages to the address go
	From   Traversal      `json:"from,omitzero"`
	To     Traversal      `json:"to,omitzero"`
}

type plainObservations Observations // without the methods

// MarshalJSON writes the present version.
func (o Observations) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Version int `json:"version"`
		plainObservations
	}{version, plainObservations(o)})
}

// UnmarshalJSON reads every version. What a newer one adds is left out.
func (o *Observations) UnmarshalJSON(text []byte) error {
	var written struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return fmt.Errorf("read the version of observations: %w", err)
	}
	if written.Version < version {
		var old observationsV1
		if err := json.Unmarshal(text, &old); err != nil {
			return fmt.Errorf("read observations of version 1: %w", err)
		}
		*o = old.observations()
		return nil
	}
	if err := json.Unmarshal(text, (*plainObservations)(o)); err != nil {
		return fmt.Errorf("read observations: %w", err)
	}
	return nil
}
