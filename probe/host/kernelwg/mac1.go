//go:build linux

package kernelwg

import (
	"crypto/subtle"
	"time"

	"golang.org/x/crypto/blake2s"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

const (
	macsSize = 32 // mac1 and mac2 end both handshake messages
	mac1Size = 16
)

// madeFor reports whether a handshake message is made for the owner of a key: its mac1 is keyed by
// that (5.4.4 of the WireGuard paper).
func madeFor(msg []byte, owner key.Public) bool {
	k := blake2s.Sum256(append([]byte("mac1----"), owner[:]...))
	h, err := blake2s.New128(k[:])
	if err != nil || len(msg) < macsSize {
		return false
	}
	at := len(msg) - macsSize
	h.Write(msg[:at])
	return subtle.ConstantTimeCompare(h.Sum(nil), msg[at:at+mac1Size]) == 1
}

// readPace is how long the device is taken to have the key that was read of it, where a message is
// made for another one.
const readPace = 100 * time.Millisecond

// astray reports whether a handshake message that came in is made for another key than the
// device's, which then refuses it. The key may have been changed since it was read: then it is read
// once more, and while that is not possible nothing is said.
func (c *captured) astray(e *probe.Event, msg []byte) bool {
	if e.Reason != probe.ReasonNone || e.Kind != probe.KindInitiation && e.Kind != probe.KindResponse {
		return false
	}
	own := c.own.Load()
	if own == nil || own.IsZero() || madeFor(msg, *own) {
		return false
	}
	if c.reread == nil {
		return true
	}
	if time.Since(c.read) < readPace {
		return false
	}
	c.read = time.Now()
	d, err := c.reread()
	return err == nil && !d.Public.IsZero() && !madeFor(msg, d.Public)
}

// addressee is the peer that a handshake message is made for, 0 if that cannot be told.
func (c *captured) addressee(e *probe.Event, msg []byte) probe.PeerID {
	keys := c.keys.Load()
	if keys == nil || e.Reason != probe.ReasonNone || e.Kind != probe.KindInitiation && e.Kind != probe.KindResponse {
		return 0
	}
	for _, k := range *keys {
		if madeFor(msg, k) {
			return c.peers.ID(k)
		}
	}
	return 0
}
