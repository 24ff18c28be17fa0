package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// Tunnel is the WireGuard that is looked at: wgnode's own device ([tunnel.Tunnel]), or one
// of the kernel's. Its methods can be called by several goroutines.
type Tunnel interface {
	// Level says how much the events tell, and so how much can be certain.
	Level() probe.Level
	// Recorder has the events of all that passes.
	Recorder() *probe.Recorder
	// Status is what the device says of itself and its peers now.
	Status() (*uapi.Status, error)
	// Peers are the states of all peers, and of those that were removed last.
	Peers() []tunnel.PeerState
	// PeerState is that of one peer; that of ID 0 holds the drops that are no peer's.
	PeerState(id probe.PeerID) tunnel.PeerState
	// StateOf is that of the peer with a key; false: none is configured.
	StateOf(k key.Public) (tunnel.PeerState, bool)
	// Lookup is cryptokey routing: whose AllowedIPs hold an address.
	Lookup(a netip.Addr) (tunnel.Route, bool)
	// PeerOf is the peer that a message was sent to or came from, by an index in its head
	// that whoever is off the path cannot know; 0 if there is none.
	PeerOf(head []byte, sent bool) probe.PeerID
	// Initiator is the peer that has made an initiation for this device, 0 if none has;
	// false: it could not be read.
	Initiator(msg []byte) (peer probe.PeerID, read bool)
	// InitiateHandshake asks a peer for a new session. The error says so where only the
	// device itself can.
	InitiateHandshake(k key.Public) error
	// SendApart has every message leave alone until end is called, where that can be had.
	SendApart() (end func())
}
