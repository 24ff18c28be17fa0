package diagnose

import (
	"net"
	"net/netip"
	"time"
)

// Place is an endpoint that a peer has had.
type Place struct {
	Endpoint netip.AddrPort `json:"address"`
	Heard    time.Time      `json:"heard,omitzero"` // when the peer was heard from there last, zero if never
}

// Origin says how a peer's endpoint is known.
type Origin string

// The origins. A resolved one is an address of the name in the configuration; a learned one
// is where the peer's packets came from; one that was set is another program's. The kernel's
// WireGuard does not tell, but where it was watched as the endpoint changed.
const (
	OriginConfigured Origin = "configured"
	OriginResolved   Origin = "resolved"
	OriginLearned    Origin = "learned"
	OriginSet        Origin = "set"
	OriginUnknown    Origin = "unknown"
)

// Whereabouts is where a peer is, and how that is known. Its JSON form is a public contract,
// as that of a [Report].
type Whereabouts struct {
	Endpoint netip.AddrPort `json:"address"`
	Heard    time.Time      `json:"heard,omitzero"` // when the peer was heard last, zero if never
	Origin   Origin         `json:"origin"`
	Written  string         `json:"written,omitempty"` // as configured, "" if it is not
	// Addresses are all that the name has which Written is, the preferred one first.
	Addresses []netip.AddrPort `json:"addresses,omitempty"`
	// Earlier are endpoints that it has had before, the latest last; a few of them.
	Earlier []Place `json:"earlier,omitempty"`
}

// Whereabouts is where the peer is, nil if it has no endpoint.
func (p *Peer) Whereabouts() *Whereabouts {
	if !p.Endpoint.IsValid() {
		return nil
	}
	w := &Whereabouts{Endpoint: p.Endpoint, Heard: p.Heard, Origin: OriginConfigured, Written: p.Written,
		Addresses: p.Addresses, Earlier: p.Earlier}
	switch {
	case p.Learned:
		w.Origin = OriginLearned
	case p.Set:
		w.Origin = OriginSet
	case p.Unplaced:
		w.Origin = OriginUnknown
	case p.Named():
		w.Origin = OriginResolved
	}
	return w
}

// Named reports whether the peer's endpoint is written as a name.
func (p *Peer) Named() bool {
	host, _, err := net.SplitHostPort(p.Written)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}
