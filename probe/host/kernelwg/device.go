package kernelwg

import (
	"errors"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe/key"
)

// Device is what the kernel tells of one of its WireGuard devices. It has no secrets.
type Device struct {
	Name   string
	Index  uint32
	Public key.Public // zero: it has no key
	Port   uint16
	Mark   uint32
	Peers  []Peer // in the kernel's order
}

// Peer is the one with a key, nil if there is none.
func (d *Device) Peer(k key.Public) *Peer {
	for i := range d.Peers {
		if d.Peers[i].Public == k {
			return &d.Peers[i]
		}
	}
	return nil
}

// Peer is a peer of a device.
type Peer struct {
	Public     key.Public
	Preshared  bool           // there is a preshared key
	Endpoint   netip.AddrPort // invalid: none
	AllowedIPs []netip.Prefix
	Handshake  time.Time // the latest that was completed, zero: none
	Sent       uint64    // bytes of messages
	Received   uint64
	Keepalive  time.Duration // between those that are sent by themselves, 0: none
}

// ErrNotKernel: the kernel has no WireGuard device of the name.
var ErrNotKernel = errors.New("is no WireGuard device of the kernel's")

// Link is a WireGuard device of the kernel's among this host's links.
type Link struct {
	Index uint32
	Up    bool // only then packets pass, and it has a port
}

var (
	// ErrModule: the kernel has no WireGuard of its own, or has not loaded it.
	ErrModule = errors.New("this kernel's own WireGuard is not loaded")
	// ErrCopies: the process may not have copies of packets.
	ErrCopies = errors.New("the capability CAP_NET_RAW is missing")
	// ErrTypes: the kernel does not describe the types of its WireGuard.
	ErrTypes = errors.New("this kernel does not describe the types of its WireGuard (CONFIG_DEBUG_INFO_BTF_MODULES)")
)
