// Package overview is what there is to see of the tunnels of a host at a glance: of each
// tunnel its peers, faults first, each with its state, its rates and the verdict of a doctor.
//
// It is the answer to "wgnode status", and what other views begin with. Nothing in it is a
// secret. Text that others wrote, such as names, is as they wrote it.
package overview

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// Overview is all tunnels of a host, or those that were asked for. Its JSON form is a public
// contract; keys may be added, none is renamed.
type Overview struct {
	Schema  schema.Version        `json:"schema"`
	At      time.Time             `json:"at"`
	Host    string                `json:"host,omitempty"`
	Tunnels diagnose.List[Tunnel] `json:"tunnels"` // by name
	// Unseen is what could not be looked at, and why.
	Unseen diagnose.List[string] `json:"unseen,omitempty"`
}

// Kind says what serves a tunnel; "" where that is not known.
type Kind string

// The kinds.
const (
	KindNode   Kind = "wgnode"
	KindKernel Kind = "kernel"
)

// Running says of a tunnel that it can be asked. The other states of a tunnel are those of
// the nodes that a host knows of: busy, dead and foreign.
const Running = "running"

// Tunnel is one tunnel. Where it could not be asked, Error says why, and all that it would
// have told lacks.
type Tunnel struct {
	Interface string `json:"interface"`
	Kind      Kind   `json:"kind,omitempty"`
	State     string `json:"state"`
	Error     string `json:"error,omitempty"`
	// Advice is what to do about a tunnel that could not be asked, a line each.
	Advice diagnose.List[string] `json:"advice,omitempty"`

	Level    probe.Level `json:"level,omitempty"` // how much is known of its packets
	Less     string      `json:"less,omitempty"`  // why it is not more, of a device of the kernel's
	PID      int         `json:"pid,omitempty"`
	User     string      `json:"user,omitempty"` // whose a foreign one is, "" if not known
	Config   string      `json:"config,omitempty"`
	Netstack bool        `json:"netstack,omitempty"`

	PublicKey  key.Public `json:"public_key,omitzero"`
	ListenPort uint16     `json:"listen_port,omitempty"`

	// RxBytes and TxBytes are sums over the peers that there are, as are Rates.
	RxBytes uint64 `json:"rx_bytes,omitempty"`
	TxBytes uint64 `json:"tx_bytes,omitempty"`
	Rates   *Rates `json:"rates,omitempty"`
	// Drops counts, by reason, what was dropped that is no peer's.
	Drops map[string]uint64 `json:"drops,omitempty"`

	// Total is how many peers there are, Counts how many of each state, and Idle how many have
	// no fault and no session. They are of all peers, whatever was asked for.
	Total  int                    `json:"total"`
	Counts map[diagnose.State]int `json:"counts,omitempty"`
	Idle   int                    `json:"idle,omitempty"`
	// VerdictsAt is when the verdicts and states were found out; zero: they are not, yet. Then
	// states are those that the tunnel itself tells, and none is failing.
	VerdictsAt time.Time `json:"verdicts_at,omitzero"`

	// Peers are those that were asked for, in the order that was asked for. Left counts those of
	// them that a limit leaves out, and IdleLeft those left out because they are idle.
	Peers    diagnose.List[Peer] `json:"peers"`
	Left     int                 `json:"left,omitempty"`
	IdleLeft int                 `json:"idle_left,omitempty"`
}

// Peer is one peer of a tunnel.
type Peer struct {
	PublicKey key.Public     `json:"public_key"`
	Name      string         `json:"name,omitempty"`
	State     diagnose.State `json:"state"`
	// Idle: it has no fault and no session. That is how a peer is that has nothing to say.
	Idle bool `json:"idle,omitempty"`
	// Handshake is when the latest one was completed, zero if none was.
	Handshake time.Time      `json:"handshake,omitzero"`
	Endpoint  netip.AddrPort `json:"endpoint,omitzero"`
	RTT       *RTT           `json:"rtt,omitempty"`
	RxBytes   uint64         `json:"rx_bytes"`
	TxBytes   uint64         `json:"tx_bytes"`
	Rates     *Rates         `json:"rates,omitempty"`
	Verdict   *Judgment      `json:"verdict,omitempty"` // nil: not found out yet
	// Past is how often it has failed lately; nil where that was not looked up, or is not kept.
	Past *Past `json:"past,omitempty"`
	// Drops counts its dropped packets by reason, since the node began.
	Drops      map[string]uint64           `json:"drops,omitempty"`
	AllowedIPs diagnose.List[netip.Prefix] `json:"allowed_ips,omitempty"`
}

// Past is what the history of a peer says, in short.
type Past struct {
	Since    time.Time             `json:"since"`
	Failures int                   `json:"failures"`   // how often it began to fail
	Failing  time.Duration         `json:"failing_ns"` // for how long, in all
	Codes    map[diagnose.Code]int `json:"codes,omitempty"`
}

// Rates are bytes a second, encrypted, on the average of a time. Nil: they are not known.
type Rates struct {
	Rx   float64       `json:"rx"`
	Tx   float64       `json:"tx"`
	Over time.Duration `json:"over_ns"`
}

// RTT is how long an answer of the peer's took, and what it was an answer to.
type RTT struct {
	Took time.Duration `json:"took_ns"`
	Of   RTTSource     `json:"of"`
	At   time.Time     `json:"at"` // when the answer came
}

// RTTSource says what was answered.
type RTTSource string

// OfHandshake is the time from our initiation to the peer's response. What the peer's
// processor takes for that is in it, so that a round trip through the tunnel is shorter as a rule.
const OfHandshake RTTSource = "handshake"

// Judgment is a doctor's verdict of a peer, in short. The whole one has evidence and a fix.
type Judgment struct {
	Code       diagnose.Code  `json:"code"`
	Class      diagnose.Class `json:"class"`
	Healthy    bool           `json:"healthy"`
	Certain    bool           `json:"certain"`
	Checkpoint string         `json:"checkpoint,omitempty"`
	Where      diagnose.Where `json:"where,omitempty"`
	Summary    string         `json:"summary"`
	// Since is when it was found out first: every time since then it was the same.
	Since time.Time `json:"since,omitzero"`
}

// Fault reports whether something is wrong with a peer, as far as is known.
func (p *Peer) Fault() bool {
	return p.State == diagnose.StateFailing || p.State == diagnose.StateDegraded
}

// Label is what people know a peer by.
func (p *Peer) Label() string { return diagnose.PeerLabel(p.PublicKey, p.Name) }
