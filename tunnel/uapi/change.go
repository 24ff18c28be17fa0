package uapi

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/key"
)

// Change is a set request: what is to become of a device. A nil pointer leaves
// alone what it stands for.
type Change struct {
	PrivateKey *key.Private // zero: none any more
	ListenPort *uint16      // 0: the system chooses
	FwMark     *uint32      // 0: none
	// ReplacePeers removes all peers before Peers are applied, and with them
	// their sessions.
	ReplacePeers bool
	// Peers are applied in this order, so that a prefix which two of them are
	// allowed belongs to the last.
	Peers []PeerChange
}

// PeerChange is what is to become of one peer. A peer that the device does not
// have is made, unless it is to be removed.
type PeerChange struct {
	PublicKey    key.Public
	Remove       bool           // the rest does not count then
	PresharedKey *key.Preshared // zero: none any more
	Endpoint     netip.AddrPort // the zero AddrPort leaves it alone
	Keepalive    *uint16        // seconds, 0: off
	ReplaceIPs   bool           // forgets the allowed IPs that the peer has
	AllowedIPs   []netip.Prefix // are added
	RemovedIPs   []netip.Prefix // are taken away, after that
}

// Apply asks a device for the change, with the errors of [Set].
func (c *Change) Apply(name string) error { return Set(name, c.Text()) }

// Whole asks for all that a device has which says s, and for no other peers.
func (s *Status) Whole() *Change {
	c := &Change{PrivateKey: &s.PrivateKey, ListenPort: &s.ListenPort, FwMark: &s.FwMark, ReplacePeers: true}
	for i := range s.Peers {
		p := &s.Peers[i]
		seconds := uint16(p.PersistentKeepalive / time.Second)
		c.Peers = append(c.Peers, PeerChange{
			PublicKey: p.PublicKey, PresharedKey: &p.PresharedKey, Endpoint: p.Endpoint,
			Keepalive: &seconds, ReplaceIPs: true, AllowedIPs: p.AllowedIPs,
		})
	}
	return c
}

// IsZero reports whether there is nothing to do.
func (c *Change) IsZero() bool {
	return c.PrivateKey == nil && c.ListenPort == nil && c.FwMark == nil && !c.ReplacePeers && len(c.Peers) == 0
}

// Text is the change in the lines that [Set] takes. It holds the secrets, so it
// goes nowhere but to the device.
func (c *Change) Text() string {
	var b strings.Builder
	if c.PrivateKey != nil {
		fmt.Fprintf(&b, "private_key=%s\n", c.PrivateKey.Hex())
	}
	if c.ListenPort != nil {
		fmt.Fprintf(&b, "listen_port=%d\n", *c.ListenPort)
	}
	if c.FwMark != nil {
		fmt.Fprintf(&b, "fwmark=%d\n", *c.FwMark)
	}
	if c.ReplacePeers {
		b.WriteString("replace_peers=true\n")
	}
	for i := range c.Peers {
		c.Peers[i].write(&b)
	}
	return b.String()
}

func (p *PeerChange) write(b *strings.Builder) {
	fmt.Fprintf(b, "public_key=%s\n", p.PublicKey.Hex())
	if p.Remove {
		b.WriteString("remove=true\n")
		return
	}
	if p.PresharedKey != nil {
		fmt.Fprintf(b, "preshared_key=%s\n", p.PresharedKey.Hex())
	}
	if p.Endpoint.IsValid() {
		fmt.Fprintf(b, "endpoint=%s\n", p.Endpoint)
	}
	if p.Keepalive != nil {
		fmt.Fprintf(b, "persistent_keepalive_interval=%d\n", *p.Keepalive)
	}
	if p.ReplaceIPs {
		b.WriteString("replace_allowed_ips=true\n")
	}
	for _, prefix := range p.AllowedIPs {
		fmt.Fprintf(b, "allowed_ip=%s\n", prefix)
	}
	for _, prefix := range p.RemovedIPs {
		fmt.Fprintf(b, "allowed_ip=-%s\n", prefix)
	}
}
