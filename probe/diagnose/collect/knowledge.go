package collect

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// Knowledge is what is known of a node and its peers beside what happens to packets.
// A running tunnel has it, a recording, and each host of several recordings that are
// merged.
type Knowledge interface {
	// Node describes the node itself.
	Node() Node
	// Peers are those that events may be of.
	Peers() []Peer
	// State is what is known of a peer now; the zero State if there is none of that ID.
	State(id probe.PeerID) State
	// Lookup is cryptokey routing: the peer that packets to an address go to, 0 if
	// to none.
	Lookup(a netip.Addr) probe.PeerID
}

// Node is what is known of a node itself.
type Node struct {
	Interface  string
	Config     string     // path of its configuration, "" if it has none
	PublicKey  key.Public // zero if it has no private one
	ListenPort uint16
	Level      probe.Level      // how much its events tell; "" is that of wgnode's own device
	FwMark     uint32           // of its encrypted packets, 0 for none
	Router     *diagnose.Router // what it forwards for its peers itself; nil where that is the kernel's task
}

// Peer is what is known of one peer.
type Peer struct {
	ID         probe.PeerID // as events name it
	Key        key.Public
	Name       string // "" if it has none
	AllowedIPs []netip.Prefix
	State
}

// State is what changes of a peer, with or without an event that says so.
type State struct {
	Endpoint netip.AddrPort // zero if none is known
	Written  string         // the endpoint as configured, "" if it is not
	// Learned: the peer's packets alone tell where it is; nobody has set the endpoint.
	Learned bool
	// Unplaced: it is not known whether the endpoint was set or learned.
	Unplaced bool
	// Heard is when its latest authenticated message came, zero if that is not known.
	Heard time.Time
	// Set: a program has set the endpoint, in place of the configured one.
	Set bool
	// Addresses are all that the name has which the endpoint is written as, the preferred
	// one first.
	Addresses []netip.AddrPort
	// Earlier are endpoints that it has had before, the latest last.
	Earlier    []diagnose.Place
	Unresolved string // why Written does not resolve; "" if it does
	// Established is when the latest handshake was completed, zero if none was.
	Established time.Time
	// Complete: the kernel says that of the latest handshake. Its session is known at both ends,
	// whatever events have told of it.
	Complete bool
	// ClockNewest is the newest time that the peer stated in an initiation, Clock the
	// latest; zero if that is not known.
	ClockNewest, Clock time.Time
}

// FactsFrom begins the facts about a node, with what k knows of it. Which side, flow and
// peer they are about is up to the caller.
func FactsFrom(k Knowledge) *diagnose.Facts {
	n := k.Node()
	return &diagnose.Facts{Interface: n.Interface, Config: n.Config, PublicKey: n.PublicKey,
		ListenPort: n.ListenPort, FwMark: n.FwMark, Router: n.Router, Level: cmp.Or(n.Level, probe.LevelDevice)}
}

// CollectorFor returns a collector of facts about all peers that k knows.
func CollectorFor(k Knowledge) *Collector {
	c := &Collector{Peers: make(map[probe.PeerID]*diagnose.Peer), Level: k.Node().Level}
	Meet(c, k)
	return c
}

// Meet adds to a collector the peers that k has come to know since it was made.
func Meet(c *Collector, k Knowledge) {
	for _, p := range k.Peers() {
		if c.Peers[p.ID] != nil {
			continue
		}
		d := &diagnose.Peer{Key: p.Key, Name: p.Name, AllowedIPs: p.AllowedIPs}
		Refresh(d, p.State)
		d.Handshake.EstablishedNow = false // it was before
		c.Peers[p.ID] = d
	}
}

// Refresh brings a peer up to date where no event does.
func Refresh(p *diagnose.Peer, now State) {
	p.Endpoint, p.Written, p.Resolve = now.Endpoint, now.Written, now.Unresolved
	p.Learned, p.Unplaced, p.Set, p.Addresses, p.Earlier = now.Learned, now.Unplaced, now.Set, now.Addresses, now.Earlier
	p.Hear(now.Heard)
	h := &p.Handshake
	if now.Complete && now.Established.After(h.Established) {
		complete(p, now.Established)
	}
	if now.Established.After(h.Established) {
		h.Established = now.Established
	}
	h.ClockNewest, h.Clock = now.ClockNewest, now.Clock
}
