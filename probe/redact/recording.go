package redact

import (
	"encoding/json"
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// Meta replaces the identities in the description of a recording, and makes the names in it
// known.
func (n *Names) Meta(m *recording.Meta) *recording.Meta {
	to := *m
	if n == nil {
		return &to
	}
	n.Meet("host", m.Host)
	n.Meet("interface", m.Interface)
	to.Host, to.Interface, to.Config = n.word(m.Host), n.word(m.Interface), n.Text(m.Config)
	to.PublicKey = n.Key(m.PublicKey)
	to.Addrs, to.Filter, to.Peers = nil, nil, nil
	for _, a := range m.Addrs {
		to.Addrs = append(to.Addrs, n.Addr(a))
	}
	for i := range m.Peers {
		to.Peers = append(to.Peers, n.Peer(m.Peers[i]))
	}
	for _, w := range m.Filter {
		to.Filter = append(to.Filter, n.Text(w))
	}
	return &to
}

// Peer replaces the identities of a peer.
func (n *Names) Peer(p recording.Peer) recording.Peer {
	if n == nil {
		return p
	}
	n.Meet("peer", p.Name)
	p.Name, p.PublicKey, p.Endpoint, p.Written = n.word(p.Name), n.Key(p.PublicKey), n.AddrPort(p.Endpoint), n.Endpoint(p.Written)
	prefixes := p.AllowedIPs
	p.AllowedIPs = nil
	for _, prefix := range prefixes {
		p.AllowedIPs = append(p.AllowedIPs, n.Prefix(prefix))
	}
	return p
}

// Endpoint replaces HOST:PORT, whose host may be a name.
func (n *Names) Endpoint(written string) string {
	if n == nil || written == "" {
		return written
	}
	if host, ok := hostName(written); ok {
		n.Meet("domain", host)
	}
	return n.Text(written)
}

// Event replaces the addresses and keys in an event.
func (n *Names) Event(e *probe.Event) {
	if n == nil {
		return
	}
	addr := func(a *probe.Addr) {
		if *a != (probe.Addr{}) {
			*a = probe.AddrFrom(n.Addr(a.Netip()))
		}
	}
	if c, ok := e.Network(); ok {
		c.OldAddr, c.NewAddr = n.Addr(c.OldAddr), n.Addr(c.NewAddr)
		c.OldLink, c.NewLink = n.link(c.OldLink), n.link(c.NewLink)
		to := c.Event()
		e.InnerSrc, e.InnerDst, e.OuterSrc, e.OuterDst = to.InnerSrc, to.InnerDst, to.OuterSrc, to.OuterDst
		return
	}
	if k, ok := e.StaticKey(); ok {
		e.SetStaticKey(n.Key(k))
	} else {
		addr(&e.InnerSrc)
		addr(&e.InnerDst)
	}
	addr(&e.OuterSrc)
	if e.Flags&probe.FlagSegment == 0 || e.Proto != probe.ProtoTCP { // there it is no address
		addr(&e.OuterDst)
	}
}

func (n *Names) link(name string) string {
	n.Meet("interface", name)
	return n.word(name)
}

// Observations applies to to each text in what a host found out beside its events.
func Observations(o *evidence.Observations, to func(string) string) (*evidence.Observations, error) {
	return rewritten(o, to)
}

// Drop is what the kernel says of a packet that it has dropped, with every text in it rewritten.
func Drop(d *recording.Drop, to func(string) string) (*recording.Drop, error) {
	return rewritten(d, to)
}

// rewritten is a copy of v with every text in it rewritten.
func rewritten[T any](v *T, to func(string) string) (*T, error) {
	text, err := json.Marshal(v)
	out := new(T)
	if err == nil {
		text, err = JSON(text, to)
	}
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return nil, fmt.Errorf("rewrite the texts of a %T: %w", v, err)
	}
	return out, nil
}
