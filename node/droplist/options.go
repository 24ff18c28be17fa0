package droplist

import (
	"context"
	"net/netip"

	"github.com/wgnode/wgnode/probe/key"
)

// Options say what is listed.
type Options struct {
	Look      Look
	Namespace string   // path of the network namespace that the tunnel is in
	Filter    []string // words, see filter.Drops; none: all
}

// Taker takes rows. An error of it ends the list.
type Taker interface {
	// Drop takes the row of a packet as it is reported. The row keeps its address.
	Drop(r *Row) error
	// Second takes all rows, in order, once a second and at the end.
	Second(rows []*Row, lost uint64) error
}

// Tunnel is what a list must know of a tunnel.
type Tunnel struct {
	Interface string // the name of its device in the network namespace, "": it has none there
	Port      uint16 // of encrypted packets
	Peers     []Peer
}

// Peer is one of a tunnel's.
type Peer struct {
	PublicKey  key.Public
	Name       string // "" if it has none
	Endpoint   netip.AddrPort
	AllowedIPs []netip.Prefix
}

// Look finds out about the tunnel as it is now.
type Look func(context.Context) (*Tunnel, error)
