//go:build linux

package kernelwg

import (
	"crypto/subtle"
	"time"

	"golang.org/x/crypto/blake2s"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// The states of a handshake message's MACs (enum cookie_mac_state).
const (
	macInvalid     = 0
	macNoCookie    = 1
	macRateLimited = 2
	macCookie      = 3
)

// initiationSent is the state of a handshake whose response is awaited
// (HANDSHAKE_CREATED_INITIATION).
const initiationSent = 1

// threadsKept bounds the handshake messages that are being read: the kernel has a thread for
// each processor.
const threadsKept = 4096

// handshake is a message that a thread of the kernel's is reading.
type handshake struct {
	event   probe.Event
	static  key.Public   // the key that an initiation was sent with, zero if it did not decrypt
	claimed probe.PeerID // whose that is; of a response, whose handshake it answers
	state   int32        // of that
}

// checked is a handshake message whose MACs were looked at: the record says also whether the
// device is under load, in which case a cookie is wanted.
func (t *translator) checked(r raw) {
	e := t.event(r, probe.SeamUDPReceive, probe.KindOther)
	e.Reason = e.DecodeOuter(t.packet(r))
	t.from(&e, r)
	e.Checkpoint = probe.B1
	if e.Kind == probe.KindResponse {
		e.Checkpoint = probe.A3
	}
	state, underLoad := r.result()&0xff, r.result()>>8 != 0
	switch {
	case state == macInvalid:
		e.Reason = probe.InvalidMAC1
	case underLoad && state != macCookie:
		e.Reason = probe.UnderLoad
	}
	if e.Reason != probe.ReasonNone {
		t.rec.Record(probe.LaneControl, &e)
		return
	}
	if len(t.handshakes) >= threadsKept {
		clear(t.handshakes)
	}
	t.handshakes[r.word(atThread)] = &handshake{event: e}
}

// handshake is what becomes of it: the same thread goes on.
func (t *translator) handshake(r raw) {
	h := t.handshakes[r.word(atThread)]
	if h == nil {
		return // the table of keys has other users
	}
	switch what(r.word(atWhat)) {
	case looked:
		h.static = r.key()
		if r.long(atPeer) != 0 {
			h.claimed = t.peers.ID(r.key())
		}
	case indexed:
		h.state = r.result()
		if r.long(atPeer) != 0 {
			h.claimed = t.peers.ID(r.key())
		}
	case consumed:
		delete(t.handshakes, r.word(atThread))
		t.consumed(h, r)
	}
}

func (t *translator) consumed(h *handshake, r raw) {
	e := &h.event
	switch {
	case r.long(atPeer) != 0:
		e.Peer = t.peers.ID(r.key())
	case e.Kind == probe.KindResponse:
		e.Peer, e.Reason = h.claimed, probe.ResponseStale
		if h.state == initiationSent {
			e.Reason = probe.ResponseRejected
		}
	case h.static.IsZero():
		e.Reason = probe.InvalidInitiation
	case h.claimed == 0:
		e.Reason = probe.UnknownPeer
		e.SetStaticKey(h.static)
	default:
		e.Peer, e.Reason = h.claimed, probe.InitiationRefused
	}
	seq := t.rec.Record(probe.LaneControl, e)
	if e.Reason != probe.ReasonNone {
		return
	}
	if from, _ := e.Outer(); from.IsValid() {
		t.moved(e.Peer, from, e.Time, seq, true)
	}
	if e.Kind == probe.KindResponse { // as wgnode's device says that it has a session
		t.rec.Record(probe.LaneControl, &probe.Event{Time: e.Time, Seam: probe.SeamDevice, Kind: probe.KindResponse,
			Checkpoint: probe.A3, Peer: e.Peer, PrefixBits: probe.NoPrefix})
	}
}

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
