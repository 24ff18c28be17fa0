package explain

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// filed is the configuration's file as it is now, nil if it cannot be read or part of it
// is elsewhere: then nothing is said of it. It is File itself if it has not changed.
func (s *Subject) filed() *config.Config {
	if s.Load == nil || s.File == nil {
		return nil
	}
	c, err := s.Load()
	if err != nil || c.Interface.PeersFile != "" || c.Import != "" {
		return nil
	}
	return c
}

// holder is the peer of a configuration that gets packets to an address, nil if none does:
// as in the device the longest prefix wins, and of several the last.
func holder(c *config.Config, a netip.Addr) *config.Peer {
	var peer *config.Peer
	length := -1
	for i := range c.Peers {
		for _, p := range c.Peers[i].AllowedIPs {
			if p.Contains(a) && p.Bits() >= length {
				peer, length = &c.Peers[i], p.Bits()
			}
		}
	}
	return peer
}

// byKey are the peers of a configuration; of several sections for one the last.
func byKey(c *config.Config) map[key.Public]*config.Peer {
	peers := make(map[key.Public]*config.Peer, len(c.Peers))
	for i := range c.Peers {
		peers[c.Peers[i].PublicKey] = &c.Peers[i]
	}
	return peers
}

// unapplied is what the file says by now and the tunnel lacks, for each peer; that of the
// zero key concerns all. The file may have been changed since it was applied; what others
// have changed of the device is another matter.
func (s *Subject) unapplied(now *config.Config, own key.Public) map[key.Public][]diagnose.Unapplied {
	if now == nil || now == s.File {
		return nil
	}
	all := make(map[key.Public][]diagnose.Unapplied)
	add := func(k key.Public, what diagnose.FiledKey, format string, args ...any) {
		all[k] = append(all[k], diagnose.Unapplied{What: what, Text: fmt.Sprintf(format, args...)})
	}
	private := now.Interface.PrivateKey
	if !private.IsZero() && private != s.File.Interface.PrivateKey && private.Public() != own {
		add(key.Public{}, diagnose.FiledPrivateKey, "%s has another private key, with the public key %s", s.Config, private.Public())
	}
	was := byKey(s.File)
	for k, p := range byKey(now) {
		before := was[k]
		if before == nil {
			continue
		}
		label := peerLabel{p}
		if p.Endpoint != "" && p.Endpoint != before.Endpoint {
			add(k, diagnose.FiledEndpoint, "%s has %s as the endpoint of %s", s.Config, p.Endpoint, label)
		}
		none := config.Source{}
		if p.PresharedKeyFrom == none && before.PresharedKeyFrom == none && p.PresharedKey != before.PresharedKey {
			add(k, diagnose.FiledPresharedKey, "%s has another preshared key for %s", s.Config, label)
		}
	}
	return all
}

// peerLabel is what a peer is called, made when it is printed.
type peerLabel struct{ p *config.Peer }

func (l peerLabel) String() string { return diagnose.PeerLabel(l.p.PublicKey, l.p.Name) }

// unappliedTo is what of that concerns packets to a target that the peer with the key k gets,
// zero if none does.
func (s *Subject) unappliedTo(now *config.Config, own key.Public, target netip.Addr, k key.Public) []diagnose.Unapplied {
	if now == nil || now == s.File {
		return nil
	}
	every := s.unapplied(now, own)
	all := every[key.Public{}]
	if !k.IsZero() {
		all = append(all, every[k]...)
	}
	p, before := holder(now, target), holder(s.File, target)
	if p != nil && p.PublicKey != k && (before == nil || before.PublicKey != p.PublicKey) {
		all = append(all, diagnose.Unapplied{What: diagnose.FiledPeer,
			Text: fmt.Sprintf("%s gives %s to %s", s.Config, target, diagnose.PeerLabel(p.PublicKey, p.Name))})
	}
	return all
}

// unappliedPeers are the peers and prefixes that the file has by now and the tunnel lacks.
func (s *Subject) unappliedPeers(now *config.Config) []string {
	if now == nil || now == s.File {
		return nil
	}
	var all []string
	was := byKey(s.File)
	for i := range now.Peers {
		p := &now.Peers[i]
		label, before := diagnose.PeerLabel(p.PublicKey, p.Name), was[p.PublicKey]
		if _, there := s.Tunnel.StateOf(p.PublicKey); !there && before == nil {
			all = append(all, "peer "+label)
		}
		if before == nil {
			continue
		}
		for _, prefix := range p.AllowedIPs {
			if r, _ := s.Tunnel.Lookup(prefix.Addr()); !slices.Contains(before.AllowedIPs, prefix) &&
				s.Tunnel.PeerState(r.Peer).Key != p.PublicKey {
				all = append(all, fmt.Sprintf("%s for %s", prefix, label))
			}
		}
	}
	return all
}

// known marks the strangers whom the file has as peers by now.
func known(now *config.Config, all []diagnose.Stranger) []diagnose.Stranger {
	if now == nil || len(all) == 0 {
		return all
	}
	peers := byKey(now)
	for i := range all {
		if p := peers[all[i].Key]; p != nil {
			all[i].Filed = diagnose.PeerLabel(p.PublicKey, p.Name)
		}
	}
	return all
}
