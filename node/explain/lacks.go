package explain

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/host/routing"
	"github.com/wgnode/wgnode/probe/key"
)

// lacks notes what the interface lacks that the configuration gives it. What cannot
// be read is not claimed to be missing.
func (s *Subject) lacks(f *diagnose.Facts) {
	if !s.Kernel {
		return
	}
	l, err := routing.TakeLink(s.Interface)
	if err != nil || l == nil {
		return
	}
	f.LinkDown = !l.Up
	f.NoIPv6, f.EnableIPv6 = l.NoIPv6()
	for _, a := range l.Addrs {
		f.Addresses = append(f.Addresses, a.Prefix)
	}
	if s.File == nil {
		return
	}
	for _, p := range s.File.Interface.Addresses {
		if !slices.ContainsFunc(l.Addrs, func(a routing.Addr) bool { return a.Prefix.Addr() == p.Addr() }) {
			f.Missing = append(f.Missing, p)
		}
	}
}

// changed says in which respect the device is not what the configuration makes it,
// of what concerns packets to a target, which the peer with the key k gets; invalid:
// to any.
func (s *Subject) changed(f *diagnose.Facts, target netip.Addr, k key.Public) string {
	if s.File == nil {
		return ""
	}
	if own := s.File.Interface.PrivateKey; !own.IsZero() && own.Public() != f.PublicKey {
		return s.Interface + " has another private key than the configuration"
	}
	peer := holder(s.File, target)
	if peer == nil || peer.PublicKey == k {
		return ""
	}
	return fmt.Sprintf("the configuration gives %s to %s, and %s does not", target, diagnose.PeerLabel(peer.PublicKey, peer.Name), s.Interface)
}
