package noise

import (
	"crypto/ecdh"

	"github.com/wgnode/wgnode/probe/key"
)

// Identity is this node's key pair, and the mac1 key of messages to it.
type Identity struct {
	private *ecdh.PrivateKey // nil if there is none; making it takes a multiplication on the curve
	Secret  key.Private
	Public  key.Public
	MAC1    [32]byte
}

// NewIdentity is the identity of who has k; without a key, if k is zero.
func NewIdentity(k key.Private) *Identity {
	id := &Identity{Secret: k}
	if !k.IsZero() {
		if private, err := ecdh.X25519().NewPrivateKey(k[:]); err == nil { // else it is not 32 bytes, which it is
			id.private, id.Public = private, key.Public(private.PublicKey().Bytes())
		}
	}
	id.MAC1 = MAC1Key(id.Public)
	return id
}
