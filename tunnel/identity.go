package tunnel

import (
	"crypto/ecdh"

	"github.com/wgnode/wgnode/probe/key"
)

// identity is this node's key pair, and the mac1 key of messages to it.
type identity struct {
	private *ecdh.PrivateKey // nil if there is none; making it takes a multiplication on the curve
	secret  key.Private
	public  key.Public
	mac1    [32]byte
}

func newIdentity(k key.Private) *identity {
	id := &identity{secret: k}
	if !k.IsZero() {
		if private, err := ecdh.X25519().NewPrivateKey(k[:]); err == nil { // else it is not 32 bytes, which it is
			id.private, id.public = private, key.Public(private.PublicKey().Bytes())
		}
	}
	id.mac1 = mac1Key(id.public)
	return id
}
