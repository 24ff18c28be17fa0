package diagnose

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
)

// Facts are what is known of one flow, or (without Flow) of one peer. Counts
// and events are those since the last success: what went wrong before a
// handshake was completed is no fault any more.
type Facts struct {
	Interface  string
	PublicKey  key.Public // this node's; zero if it has no private key
	ListenPort uint16
	FwMark     uint32
	Config     string // path of the configuration file, "" if there is none
	// Level is how much the tunnel's events tell; "" is that of wgnode's own device.
	Level probe.Level

	// Since is when watching began. What is older is remembered: it may have been
	// mended meanwhile. Zero: nothing is.
	Since time.Time

	Side probe.Side
	// Onward is the same flow as the side that asks, where this host passes it on
	// from one peer to another; nil elsewhere.
	Onward *Facts

	Flow *Flow
	Peer *Peer // nil if no peer is concerned, or none is known

	// Nearest is what comes closest to the target where no AllowedIPs match:
	// the only peer, or the one with the longest common prefix.
	Nearest *Peer

	// Owner is the peer that the source of Peer.Disallowed belongs to by AllowedIPs; nil if it is
	// no peer's, or not known.
	Owner *Peer
	// Back is where answers to Peer.Disallowed would go; nil if it is not known.
	Back *evidence.RouteDecision
	// Outside is the peer whose endpoint has the target's address; nil if none has.
	Outside *Peer

	Strangers []Stranger

	// LinkDown: the interface is not up. Missing are addresses that the
	// configuration gives it and that it does not have.
	LinkDown bool
	Missing  []netip.Prefix
	// Addresses are those that it has; none if that is not known. NoIPv6 says why it has no
	// IPv6, and EnableIPv6 is the command that gives it back; "" where it has.
	Addresses          []netip.Prefix
	NoIPv6, EnableIPv6 string
	// Changed says in which respect that concerns the flow the device is not what
	// the configuration makes it: somebody has changed it. "" if in none.
	Changed string
	// Unapplied is what the configuration's file says by now, and the tunnel does not.
	Unapplied []Unapplied

	// PathMTU is what was measured of large packets, nil if nothing was.
	PathMTU *PathMTU

	// Kernel is what was seen of the flow's packets outside of the tunnel; nil if
	// nobody looked, or there is no kernel below.
	Kernel *evidence.KernelEvidence
	// Watched is since when Kernel has what happens, zero if that is not known: the tunnel's
	// events begin earlier.
	Watched time.Time

	// Router is what this node passes on for its peers itself; nil where that is
	// the kernel's business.
	Router *Router
}

// PathMTU is what was measured of the largest packets of a flow.
type PathMTU struct {
	To   netip.Addr
	Link int // the tunnel's MTU in bytes: the size that senders begin with
	// Largest is the size of the largest inner packet that got there and back,
	// in bytes; 0 if that is not known.
	Largest int
	// Untested says why it is not known, "" if it is. Then nothing of the rest is, either.
	Untested string
	// ToldBy is who told the sender that a packet was too big, invalid if nobody
	// did, and Told the size that he takes. Then senders adapt.
	ToldBy netip.Addr
	Told   int
	// Forth: the full size gets there; what is lost is lost on the way back.
	Forth bool
}

// Router is a node without an interface that passes on by sockets of its host what
// its peers send to others.
type Router struct {
	// Allow are the hosts that peers may reach, as the configuration has them.
	Allow []string
}

// Flow is the flow under study.
type Flow struct {
	Target netip.AddrPort         // port 0: ICMP echo
	UDP    bool                   // of packets to the port those of UDP alone
	Source netip.Prefix           // invalid: any
	Route  evidence.RouteDecision // of the target, without mark; zero where there is no kernel below
	Probe  Probe
	// Client is where its requests come from, as they enter the tunnel, as far as that is
	// known: an invalid address, or port 0, is any. Of echoes the port is the identifier.
	Client netip.AddrPort

	// First event of the flow at each checkpoint (data and inner packets), and
	// the latest at which it was dropped.
	Seen    [probe.NumCheckpoints]*probe.Event
	Dropped *probe.Event
	// Answer is an inner packet that came back and says no: a TCP reset or an
	// ICMP error.
	Answer *probe.Event
	// Returned is a request that came out of the tunnel at the side that had sent it.
	Returned *probe.Event
	// Before are the latest answers of the target's address through the tunnel before this
	// was watched, one to each source, and to each the target itself apart from others.
	Before []Before
	// XfrmBlocks are what refuses its packets before netfilter sees them.
	XfrmBlocks []evidence.XfrmBlock
	// SentData counts data messages of this flow, Replies those back.
	SentData, Replies int
	// Unpaired are messages of which one may have the flow's packet, at levels that do not tell
	// what is in a message.
	Unpaired Unpaired

	// Errors joins ICMP errors with the messages that carry them.
	Errors Errors
	// Answers tells whether what came back over TCP answers anything.
	Answers Answers
}

// Unpaired counts data messages to a peer since a packet for it has entered the tunnel: the
// first request of a flow, or the first answer. First is the first of those for the request.
type Unpaired struct {
	Forth, Back int
	First       *probe.Event
}

// Before is an answer that was given before a flow was watched.
type Before struct {
	To     netip.Addr
	Target bool // by the target itself; else by another port of its address, or to pings
	At     time.Time
}

// Toward reports whether a packet with that destination goes to the target, as far as the
// destination is known.
func (f *Flow) Toward(dst netip.AddrPort) bool {
	return !dst.Addr().IsValid() || dst.Addr() == f.Target.Addr() &&
		(f.Target.Port() == 0 || dst.Port() == 0 || dst.Port() == f.Target.Port())
}

// Works reports whether something came back that answers what was asked meanwhile.
func (f *Flow) Works() bool {
	return f.Replies > 0 && (f.Answers.Given() || f.Answer != nil)
}

// Paired reports whether the first answer that entered the tunnel is one to the
// request that came out of it, rather than of another connection.
func (f *Flow) Paired() bool {
	forth, back := f.Seen[probe.B4], f.Seen[probe.B7]
	if forth == nil || back == nil || back.Time < forth.Time {
		return false
	}
	src, dst := forth.Inner()
	from, to := back.Inner()
	if forth.Proto == probe.ProtoTCP && back.Proto == probe.ProtoTCP {
		return from == dst && to == src && f.Answers.Given()
	}
	return to.Addr() == src.Addr()
}

// Probe is what became of the packet that was sent to find out.
type Probe struct {
	Sent     bool
	As       bool // it was sent as another process than the node
	Done     bool // Answered or failed; otherwise still waiting
	Answered bool
	Errno    syscall.Errno // of a connect that failed
	Took     time.Duration
}

// Peer is what is known of one peer.
type Peer struct {
	Key        key.Public
	Name       string // "" if it has none
	AllowedIPs []netip.Prefix

	Endpoint netip.AddrPort // now; zero if none is known
	Written  string         // as configured, "" if it is not
	Resolve  string         // why Written does not resolve; "" if it does
	// Learned: the peer's packets alone tell where it is; nobody has set Endpoint.
	Learned bool
	// Unplaced: it is not known whether Endpoint was set or learned.
	Unplaced bool
	// Heard is when its latest authenticated message came, zero if that is not known.
	Heard time.Time
	// Set: a program has set Endpoint, in place of the configured one.
	Set bool
	// Addresses are all that the name has which the endpoint is written as, the preferred
	// one first.
	Addresses []netip.AddrPort
	// Earlier are endpoints that it has had before, the latest last.
	Earlier []Place
	Route   evidence.RouteDecision // of the endpoint, with the tunnel's mark

	// Handshake messages and what became of them.
	Handshake Handshake
	// Seen is the first handshake message at each checkpoint.
	Seen [probe.NumCheckpoints]*probe.Event

	SendErrno syscall.Errno // the latest that the socket refused a message with
	SendError *probe.Event
	ICMP      *probe.Event // the latest ICMP error about a message to it that is tied to one of ours
	ICMPs     int
	ICMPHere  bool         // the address that it came from is this host's own
	Claim     *probe.Event // the latest that anybody could have sent
	Claims    int
	// XfrmBlocks are what refuses messages to it before netfilter sees them.
	XfrmBlocks []evidence.XfrmBlock

	// Disallowed is the latest authenticated packet whose source is not the
	// peer's; DisallowedN counts them.
	Disallowed  *probe.Event
	DisallowedN int

	NoEndpoint *probe.Event // a packet for it was dropped for want of an endpoint

	// Moves are the latest changes of the endpoint by packets, oldest first.
	Moves []Move
}

// Label is how people know a peer: by its name, else by the beginning of its key. A
// peer that is not known is "the peer".
func (p *Peer) Label() string {
	switch {
	case p == nil:
	case p.Name != "":
		return p.Name
	case !p.Key.IsZero():
		return p.Key.Short()
	}
	return "the peer"
}

// KeyText is the peer's public key in base64, "" if it is not known.
func (p *Peer) KeyText() string {
	if p.Key.IsZero() {
		return ""
	}
	return p.Key.String()
}

// PeerLabel is the label of the peer with this key and name.
func PeerLabel(k key.Public, name string) string { return (&Peer{Key: k, Name: name}).Label() }

// Handshake counts messages since the last completed handshake.
type Handshake struct {
	Sent, Rejected, Stale, Cookies int // by us: initiations, responses we could not use, cookies
	Received, Answered             int // from the peer: initiations, and our responses
	Replays                        int
	// Refused are initiations with the peer's key that the kernel's WireGuard has refused, for a
	// reason that it does not tell. Answers are copies of responses that came to this host, of
	// which it is not known whether the device has got and taken them.
	Refused, Answers int
	LastRejected     *probe.Event
	LastRefused      *probe.Event
	LastAnswered     *probe.Event

	Established time.Time // latest completed handshake, zero if none
	// EstablishedNow: it was completed while this was watched.
	EstablishedNow bool

	// The peer's clock, from its initiations: the newest time that it ever
	// stated, and the latest.
	ClockNewest, Clock time.Time
}

// sessionLife is how long a session is good for (RejectAfterTime in the
// WireGuard whitepaper, section 6.1).
const sessionLife = 180 * time.Second

// Alive reports whether there is a session at time now.
func (h *Handshake) Alive(now time.Time) bool {
	return !h.Established.IsZero() && now.Sub(h.Established) < sessionLife
}

// Age is how long before now the latest handshake was completed, 0 if none was.
func (h *Handshake) Age(now time.Time) time.Duration {
	if h.Established.IsZero() || now.Before(h.Established) {
		return 0
	}
	return now.Sub(h.Established)
}

// Hear notes that an authenticated message of the peer's came.
func (p *Peer) Hear(at time.Time) {
	if at.After(p.Heard) {
		p.Heard = at
	}
}

// Move is one change of a peer's endpoint.
type Move struct {
	At       time.Time
	Old, New netip.AddrPort
}

// Stranger is somebody who tries to shake hands with this node and is no peer.
type Stranger struct {
	From   netip.AddrPort
	Key    key.Public // zero if it cannot be known, or if that is what it sends
	Reason probe.Reason
	Filed  string // its name in the configuration's file, which is not applied; "" if it is not there
	Count  int
	Last   *probe.Event
}
