package handshake

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"io"
	"sync"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/noise"
)

// To decrypt a session takes the ephemeral private key of one of its ends. The
// device makes it from 32 bytes that it reads from crypto/rand, uses it, and tells
// nobody. Where a node is told to keep session keys, a wrapper around rand.Reader
// remembers the latest reads of 32 bytes until a handshake message leaves, and finds
// the one that made the message's ephemeral public key. Nothing of the device is
// changed. Who has those keys can decrypt what was recorded of the session, so that
// its forward secrecy is gone: the node must be told when it starts, and does not
// otherwise do it.

const (
	drawsKept       = 16
	sessionKeysKept = 256
)

// draws are the latest 32 bytes that this process has read from crypto/rand.
type draws struct {
	inner io.Reader
	mu    sync.Mutex
	kept  [drawsKept]key.Private
	next  int
}

// drawn is nil unless session keys are kept.
var drawn *draws

// KeepSessionKeys has this process keep the ephemeral private keys of handshakes,
// for [Tracker.Key]. It must be called before anything else of the process that
// may use crypto/rand runs, as the first thing that main does.
func KeepSessionKeys() {
	if drawn == nil {
		drawn = &draws{inner: rand.Reader}
		rand.Reader = drawn
	}
}

// KeepsSessionKeys reports whether [KeepSessionKeys] was called.
func KeepsSessionKeys() bool { return drawn != nil }

// Read reads from the reader that was there before.
func (d *draws) Read(b []byte) (int, error) {
	n, err := io.ReadFull(d.inner, b)
	if n == len(d.kept[0]) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.kept[d.next] = key.Private(b)
		d.next = (d.next + 1) % drawsKept
	}
	return n, err
}

// find returns the private key of an X25519 public key if it was among the latest
// draws, and forgets it. RFC 7748, section 5: the bits that the device sets or clears
// in it do not count.
func (d *draws) find(public []byte) (key.Private, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.kept {
		k := &d.kept[(d.next+drawsKept-1-i)%drawsKept]
		priv, err := ecdh.X25519().NewPrivateKey(k[:])
		if err == nil && bytes.Equal(priv.PublicKey().Bytes(), public) {
			found := *k
			*k = key.Private{}
			return found, true
		}
	}
	return key.Private{}, false
}

// sessionKeys are the ephemeral private keys of the latest handshake messages that
// left, by their sender index.
type sessionKeys struct {
	mu   sync.Mutex
	kept [sessionKeysKept]sessionKey
	next int
}

type sessionKey struct {
	index     uint32
	peer      key.Public
	ephemeral key.Private
}

// note keeps the key of an initiation or response that leaves.
func (s *sessionKeys) note(msg []byte, e *probe.Event, peer key.Public) {
	if drawn == nil {
		return
	}
	at := noise.InitiationEphemeral
	if e.Kind == probe.KindResponse {
		at = noise.ResponseEphemeral
	}
	k, ok := drawn.find(msg[at : at+32])
	if !ok {
		return // a retransmission does not exist, so it is another's
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[s.next] = sessionKey{e.Sender, peer, k}
	s.next = (s.next + 1) % sessionKeysKept
}

// Key returns the ephemeral private key of the handshake message that the event e is of,
// which this node has sent, and the peer that it is for; false if it is not kept.
func (h *Tracker) Key(e *probe.Event) (peer key.Public, ephemeral key.Private, ok bool) {
	if e.Seam != probe.SeamUDPSend || e.Kind != probe.KindInitiation && e.Kind != probe.KindResponse {
		return peer, ephemeral, false
	}
	s := &h.keys
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.kept {
		if k := &s.kept[i]; k.index == e.Sender && !k.ephemeral.IsZero() {
			return k.peer, k.ephemeral, true
		}
	}
	return peer, ephemeral, false
}
