package tunnel

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
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
// for [Tunnel.KeyLog]. It must be called before anything else of the process that
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

// StaticKeyLog appends to dst the line of Wireshark's key log that reads initiations
// to this node; it must come before them. It is a secret, as what KeyLog appends.
func (t *Tunnel) StaticKeyLog(dst []byte) []byte {
	return fmt.Appendf(dst, "LOCAL_STATIC_PRIVATE_KEY = %s\n", t.m.Identity.Load().Secret.Base64())
}

// KeyLog appends to dst the lines of Wireshark's key log that decrypt the session
// which the event e, a handshake message that this node sent, is about: none if the
// key is not kept. They hold secrets; who takes them must have been asked to.
func (t *Tunnel) KeyLog(dst []byte, e *probe.Event) ([]byte, error) {
	if e.Seam != probe.SeamUDPSend || e.Kind != probe.KindInitiation && e.Kind != probe.KindResponse {
		return dst, nil
	}
	t.sessionKeys.mu.Lock()
	defer t.sessionKeys.mu.Unlock()
	for i := range t.sessionKeys.kept {
		k := &t.sessionKeys.kept[i]
		if k.index != e.Sender || k.ephemeral.IsZero() {
			continue
		}
		status, err := t.Status()
		if err != nil {
			return dst, err
		}
		dst = fmt.Appendf(dst, "REMOTE_STATIC_PUBLIC_KEY = %s\nLOCAL_EPHEMERAL_PRIVATE_KEY = %s\n", k.peer.Base64(), k.ephemeral.Base64())
		if p := status.Peer(k.peer); p != nil && !p.PresharedKey.IsZero() {
			dst = fmt.Appendf(dst, "PRESHARED_KEY = %s\n", p.PresharedKey.Base64())
		}
		return dst, nil
	}
	return dst, nil
}
