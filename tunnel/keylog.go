package tunnel

import (
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/handshake"
)

// KeepSessionKeys has this process keep the ephemeral private keys of handshakes,
// for [Tunnel.KeyLog]. It must be called before anything else of the process that
// may use crypto/rand runs, as the first thing that main does.
func KeepSessionKeys() { handshake.KeepSessionKeys() }

// KeepsSessionKeys reports whether [KeepSessionKeys] was called.
func KeepsSessionKeys() bool { return handshake.KeepsSessionKeys() }

// StaticKeyLog appends to dst the line of Wireshark's key log that reads initiations
// to this node; it must come before them. It is a secret, as what KeyLog appends.
func (t *Tunnel) StaticKeyLog(dst []byte) []byte {
	return fmt.Appendf(dst, "LOCAL_STATIC_PRIVATE_KEY = %s\n", t.m.Identity.Load().Secret.Base64())
}

// KeyLog appends to dst the lines of Wireshark's key log that decrypt the session
// which the event e, a handshake message that this node sent, is about: none if the
// key is not kept. They hold secrets; who takes them must have been asked to.
func (t *Tunnel) KeyLog(dst []byte, e *probe.Event) ([]byte, error) {
	peer, ephemeral, ok := t.watch.Handshakes.Key(e)
	if !ok {
		return dst, nil
	}
	status, err := t.Status()
	if err != nil {
		return dst, err
	}
	dst = fmt.Appendf(dst, "REMOTE_STATIC_PUBLIC_KEY = %s\nLOCAL_EPHEMERAL_PRIVATE_KEY = %s\n", peer.Base64(), ephemeral.Base64())
	if p := status.Peer(peer); p != nil && !p.PresharedKey.IsZero() {
		dst = fmt.Appendf(dst, "PRESHARED_KEY = %s\n", p.PresharedKey.Base64())
	}
	return dst, nil
}
