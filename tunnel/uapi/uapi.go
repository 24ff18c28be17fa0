// Package uapi speaks WireGuard's cross-platform userspace protocol, the one
// by which wg(8) talks to a userspace device
// (https://www.wireguard.com/xplatform/).
//
// The protocol is lines of `key=value` over a unix socket, one socket a
// device. Two requests exist. `get=1` is answered with the device's own lines,
// then for each peer a `public_key` line followed by that peer's lines. `set=1`
// carries lines of the same kind. Either answer ends with `errno=N` and an
// empty line, and N is 0 when all went well.
//
//	get=1                       request
//	                            empty line
//	private_key=e84b5a6d...     the device
//	listen_port=12912
//	public_key=b85996fe...      the first peer begins
//	endpoint=[abcd:23::33]:51820
//	allowed_ip=192.168.4.4/32
//	public_key=58402e69...      the second peer begins
//	errno=0
//	                            empty line
//
// [ParseStatus] turns such text into a [Status], whether it came from a socket
// ([Get]) or from a device in this process (wireguard-go's IpcGet, which leaves
// out the errno line). Numbers arrive as text without units; here they have the
// types that Go has for them.
//
// A Status holds the device's private key and its preshared keys, because the
// protocol does. The types of [key] keep them out of fmt and of encodings.
package uapi

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe/key"
)

// Status is what a device says about itself, at one moment.
type Status struct {
	// PrivateKey is zero when the device has none, as a new one.
	PrivateKey key.Private
	// PublicKey belongs to PrivateKey, and is zero when that is.
	PublicKey key.Public
	// ListenPort is the UDP port, 0 before one is chosen.
	ListenPort uint16
	// FwMark is the mark of the encrypted packets, 0 for none.
	FwMark uint32
	// Peers are in the order in which the device lists them. wireguard-go's
	// order changes from one request to the next.
	Peers []PeerStatus
}

// PeerStatus is what a device says about one peer.
type PeerStatus struct {
	PublicKey key.Public
	// PresharedKey is zero when there is none.
	PresharedKey key.Preshared
	// Endpoint is where packets to the peer go, with a zone if the address is
	// link-local. It is the zero AddrPort while no address is known.
	Endpoint netip.AddrPort
	// LastHandshake is when the current session began, by this host's clock, or
	// the zero Time if there was none yet.
	LastHandshake time.Time
	// RxBytes and TxBytes count the encrypted bytes from and to the peer, with
	// WireGuard's headers and handshakes and without those of UDP and IP.
	RxBytes, TxBytes uint64
	// PersistentKeepalive is a whole number of seconds, 0 for off.
	PersistentKeepalive time.Duration
	// AllowedIPs are as the device printed them.
	AllowedIPs []netip.Prefix
}

// ByKey returns the peers by their public keys. They point into s.Peers. Who asks for
// more than one does so: there may be thousands.
func (s *Status) ByKey() map[key.Public]*PeerStatus {
	peers := make(map[key.Public]*PeerStatus, len(s.Peers))
	for i := range s.Peers {
		peers[s.Peers[i].PublicKey] = &s.Peers[i]
	}
	return peers
}

// Peer returns the peer with that public key, or nil. It points into s.Peers. It looks
// at one after the other: see [Status.ByKey].
func (s *Status) Peer(pub key.Public) *PeerStatus {
	for i := range s.Peers {
		if s.Peers[i].PublicKey == pub {
			return &s.Peers[i]
		}
	}
	return nil
}
