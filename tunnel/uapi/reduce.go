package uapi

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/key"
)

// Reduce leaves in c only what a device that says s lacks of it. If c replaces all
// peers it then removes those that it does not have: so the sessions of peers that
// stay go on. What is nil in c stays nil.
func (c *Change) Reduce(s *Status) {
	// A device tells its key with the bits set that it sets itself.
	if c.PrivateKey != nil && c.PrivateKey.IsZero() == s.PrivateKey.IsZero() && c.PrivateKey.Public() == s.PrivateKey.Public() {
		c.PrivateKey = nil
	}
	if c.ListenPort != nil && *c.ListenPort == s.ListenPort {
		c.ListenPort = nil
	}
	if c.FwMark != nil && *c.FwMark == s.FwMark {
		c.FwMark = nil
	}
	whole := c.ReplacePeers
	c.ReplacePeers = false
	wanted := make(map[key.Public]bool)
	for i := range c.Peers {
		wanted[c.Peers[i].PublicKey] = true
	}
	var changes []PeerChange
	present := make(map[key.Public]*PeerStatus)
	for i := range s.Peers {
		pub := s.Peers[i].PublicKey
		present[pub] = &s.Peers[i]
		if whole && !wanted[pub] {
			changes = append(changes, PeerChange{PublicKey: pub, Remove: true})
		}
	}
	// Where two peers claim a prefix, the last gets it only if both are told.
	all := overlap(c.Peers)
	for _, p := range c.Peers {
		if !all {
			p.lessen(present[p.PublicKey])
		}
		if all || present[p.PublicKey] == nil || !p.isEmpty() {
			changes = append(changes, p)
		}
	}
	c.Peers = changes
}

// ResetPeers asks for no preshared key and no keepalive of the peers that a device
// which says s has with one, where no part of c states any: c then is the whole of
// what they are to be.
func (c *Change) ResetPeers(s *Status) {
	first := make(map[key.Public]*PeerChange)
	psk, keepalive := make(map[key.Public]bool), make(map[key.Public]bool)
	for i := range c.Peers {
		p := &c.Peers[i]
		if first[p.PublicKey] == nil {
			first[p.PublicKey] = p
		}
		psk[p.PublicKey] = psk[p.PublicKey] || p.PresharedKey != nil
		keepalive[p.PublicKey] = keepalive[p.PublicKey] || p.Keepalive != nil
	}
	for i := range s.Peers {
		is := &s.Peers[i]
		p := first[is.PublicKey]
		if p == nil {
			continue
		}
		if !is.PresharedKey.IsZero() && !psk[is.PublicKey] {
			p.PresharedKey = new(key.Preshared)
		}
		if is.PersistentKeepalive != 0 && !keepalive[is.PublicKey] {
			p.Keepalive = new(uint16)
		}
	}
}

// lessen leaves in c what is new to a peer, which may be nil for none. Allowed
// IPs that stay are never away, not for a moment.
func (c *PeerChange) lessen(p *PeerStatus) {
	if p == nil {
		p = &PeerStatus{}
	}
	if c.PresharedKey != nil && *c.PresharedKey == p.PresharedKey {
		c.PresharedKey = nil
	}
	if c.Endpoint == p.Endpoint {
		c.Endpoint = netip.AddrPort{}
	}
	if c.Keepalive != nil && time.Duration(*c.Keepalive)*time.Second == p.PersistentKeepalive {
		c.Keepalive = nil
	}
	has, wanted := make(map[netip.Prefix]bool), make(map[netip.Prefix]bool)
	for _, prefix := range p.AllowedIPs {
		has[prefix] = true
	}
	for _, prefix := range c.AllowedIPs {
		wanted[prefix] = true
	}
	c.AllowedIPs = slices.DeleteFunc(slices.Clone(c.AllowedIPs), func(prefix netip.Prefix) bool { return has[prefix] })
	if c.ReplaceIPs {
		c.ReplaceIPs = false
		for _, prefix := range p.AllowedIPs {
			if !wanted[prefix] {
				c.RemovedIPs = append(c.RemovedIPs, prefix)
			}
		}
	}
	c.RemovedIPs = slices.DeleteFunc(c.RemovedIPs, func(prefix netip.Prefix) bool { return !has[prefix] && !wanted[prefix] })
}

func (c *PeerChange) isEmpty() bool {
	return !c.Remove && c.PresharedKey == nil && !c.Endpoint.IsValid() && c.Keepalive == nil && !c.ReplaceIPs &&
		len(c.AllowedIPs) == 0 && len(c.RemovedIPs) == 0
}

// Words says what the change does in the language of wg(8), a line for the
// device itself and one for each peer, without secrets.
func (c *Change) Words() []string {
	var lines []string
	var device []string
	if c.PrivateKey != nil {
		device = append(device, "private-key /dev/fd/63")
	}
	if c.ListenPort != nil {
		device = append(device, fmt.Sprintf("listen-port %d", *c.ListenPort))
	}
	if c.FwMark != nil {
		device = append(device, fmt.Sprintf("fwmark %d", *c.FwMark))
	}
	if len(device) > 0 {
		lines = append(lines, strings.Join(device, " "))
	}
	for i := range c.Peers {
		lines = append(lines, c.Peers[i].words())
	}
	return lines
}

func (c *PeerChange) words() string {
	s := "peer " + c.PublicKey.Base64()
	if c.Remove {
		return s + " remove"
	}
	if c.PresharedKey != nil {
		s += " preshared-key /dev/fd/62"
	}
	if c.Endpoint.IsValid() {
		s += " endpoint " + c.Endpoint.String()
	}
	if c.Keepalive != nil {
		s += fmt.Sprintf(" persistent-keepalive %d", *c.Keepalive)
	}
	var ips []string
	sign := "+" // adds to what there is
	if c.ReplaceIPs {
		sign = ""
	}
	for _, p := range c.AllowedIPs {
		ips = append(ips, sign+p.String())
	}
	for _, p := range c.RemovedIPs {
		ips = append(ips, "-"+p.String())
	}
	if len(ips) > 0 || c.ReplaceIPs {
		s += " allowed-ips " + strings.Join(ips, ",")
	}
	return s
}

// overlap reports whether the order of peers matters: one comes twice, or one
// prefix does.
func overlap(peers []PeerChange) bool {
	keys, prefixes := make(map[key.Public]bool), make(map[netip.Prefix]bool)
	for i := range peers {
		if keys[peers[i].PublicKey] {
			return true
		}
		keys[peers[i].PublicKey] = true
		for _, prefix := range peers[i].AllowedIPs {
			if prefixes[prefix] {
				return true
			}
			prefixes[prefix] = true
		}
	}
	return false
}
