package explain

import (
	"fmt"
	"net/netip"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

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
