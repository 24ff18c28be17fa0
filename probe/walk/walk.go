package walk

import (
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/schema"
)

// Walk is what became of one packet and of its reply.
type Walk struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	// Level is how much is known of the tunnel's packets: "device" is wgnode's own, "exact",
	// "half" and "capture" are of the kernel's WireGuard.
	Level    probe.Level `json:"level,omitempty"`
	Target   string      `json:"target"`
	Peer     string      `json:"peer"` // base64, "" where none matches
	PeerName string      `json:"peer_name,omitempty"`
	Steps    []Step      `json:"steps"`
	// Notes are what may have happened unseen, one sentence each.
	Notes   []string `json:"notes"`
	Outcome Outcome  `json:"outcome"`
}

// Outcome sums a walk up.
type Outcome struct {
	Answered bool `json:"answered"` // the reply came back to the application
	// RTT is how long that took, 0 if it did not.
	RTT time.Duration `json:"rtt_ns,omitempty"`
	// Step is the number of the step where the packet or its reply was lost, or
	// the first that was not seen; 0 if it was answered.
	Step    int    `json:"step,omitempty"`
	Summary string `json:"summary"`
}

// Step is one station of a walk. What does not apply is empty.
type Step struct {
	Number int    `json:"number"` // from 1
	Leg    Leg    `json:"leg"`
	Zone   Zone   `json:"zone"`
	Place  Place  `json:"place"`
	Title  string `json:"title"`
	Status Status `json:"status"`
	// Checkpoint is that of the tunnel's events, such as "A1", "" elsewhere.
	Checkpoint string    `json:"checkpoint,omitempty"`
	Time       time.Time `json:"time,omitzero"` // of the event, UTC
	// Result is what came of it, in one line.
	Result string `json:"result"`
	// Evidence is by what that is known. Lines that begin with spaces belong to
	// the one above them.
	Evidence []string `json:"evidence"`
}

// Leg tells the packet from its reply.
type Leg string

// The legs.
const (
	Out  Leg = "out"
	Back Leg = "back"
)

// Zone is what a step belongs to: inner packets on the application's side of the
// tunnel, the tunnel itself, encrypted packets on the network's side.
type Zone string

// The zones.
const (
	Application Zone = "application"
	Tunnel      Zone = "tunnel"
	Network     Zone = "network"
)

// Place is what kind of station a step is. The names are a public contract.
type Place string

// The places.
const (
	App         Place = "application"
	Routing     Place = "routing"
	Rerouting   Place = "rerouting" // the mark was changed in output
	Output      Place = "output"
	Postrouting Place = "postrouting"
	Prerouting  Place = "prerouting"
	SourceCheck Place = "source-check" // the route of what came in, and rp_filter
	Input       Place = "input"
	Ingress     Place = "ingress" // of a device, where a firewall has chains there
	Egress      Place = "egress"
	Stack       Place = "stack" // a userspace network stack, instead of the kernel's
	Cryptokey   Place = "cryptokey-routing"
	Handshake   Place = "handshake"
	Encapsulate Place = "encapsulation"
	Decrypt     Place = "decryption"
	Reentry     Place = "re-entry"
	Wire        Place = "wire"
)

// Status is how a step ended for the packet.
type Status string

// The statuses.
const (
	Pass       Status = "pass"
	Lost       Status = "lost"        // it went no further: dropped, misled, or unanswered
	Unknown    Status = "unknown"     // it was not seen: where that is known all the same, it was passed, since it is seen later
	NotReached Status = "not-reached" // it was lost before
)
