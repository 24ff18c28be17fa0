package mirror

import (
	"bufio"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// follower has the mirror follow one set operation, line by line, as the device does
// (https://www.wireguard.com/xplatform/#configuration-protocol).
type follower struct {
	k       *Keeper
	m       *Mirror
	own     key.Public
	client  bool  // of the UAPI socket
	cur     *Peer // nil before the first peer, and for one that is ignored
	created bool
	touched map[*Peer]struct{}
}

func (k *Keeper) follow(client bool) *follower {
	return &follower{k: k, m: k.m, own: k.m.Identity.Load().Public, client: client, touched: make(map[*Peer]struct{})}
}

// bind ends an operation that the mirror has followed.
func (f *follower) bind() {
	for p := range f.touched {
		f.k.bind(p)
	}
	f.m.Peers.forget()
}

// apply reports false if the operation does what it cannot follow.
func (f *follower) apply(config string) bool {
	lines := bufio.NewScanner(strings.NewReader(config))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		if name == "" {
			break // the device stops at an empty line
		}
		if !f.line(name, value) {
			return false
		}
	}
	return lines.Err() == nil
}

func (f *follower) line(name, value string) bool {
	m := f.m
	switch name {
	case "private_key":
		return false // can remove the peer that has the same public key
	case "replace_peers":
		for p := range m.Peers.All() {
			f.remove(p)
		}
	case "public_key":
		return f.begin(value)
	}
	p := f.cur
	if p == nil {
		return true
	}
	switch name {
	case "update_only":
		if f.created {
			f.remove(p)
			f.cur = nil
		}
	case "remove":
		f.remove(p)
		f.cur = nil
	case "endpoint":
		ep, err := netip.ParseAddrPort(value)
		if err != nil {
			return false
		}
		m.EndpointSet(p, ep, f.client)
	case "replace_allowed_ips":
		m.Allowed.RemovePeer(p.ID)
	case "allowed_ip":
		text, minus := strings.CutPrefix(value, "-")
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return false
		}
		if minus {
			m.Allowed.Remove(prefix, p.ID)
		} else {
			m.Allowed.Insert(prefix, p.ID)
		}
	}
	return true
}

func (f *follower) begin(value string) bool {
	k, ok := hexKey(value)
	if !ok {
		return false
	}
	if k == f.own {
		f.cur = nil
		return true
	}
	f.cur = f.m.Peers.Ensure(k)
	f.created = !f.cur.Configured.Swap(true)
	f.touched[f.cur] = struct{}{}
	return true
}

// hexKey is a public key as the configuration protocol has it.
func hexKey(value string) (key.Public, bool) {
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != len(key.Public{}) {
		return key.Public{}, false
	}
	return key.Public(raw), true
}

func (f *follower) remove(p *Peer) {
	if !p.Configured.Swap(false) {
		return
	}
	f.touched[p] = struct{}{}
	f.m.Allowed.RemovePeer(p.ID)
	p.Endpoint.Store(nil)
	p.ClientSet.Store(nil)
	p.Handshake.Outstanding.Store(0)
	f.m.Peers.removed(p)
}
