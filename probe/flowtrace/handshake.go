package flowtrace

import (
	"crypto/sha256"
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// handshakes are the latest ones with a peer, each way.
type handshakes struct {
	ours   handshake // that this node has begun
	theirs handshake
}

// handshake is one, by the index that its initiator has chosen.
type handshake struct {
	index    uint32
	trace    TraceID
	sent     int64 // or received: of the initiation
	answered int64 // of the response; 0: there is none yet
}

// span is that of who has begun it, and the parent of the other's.
func (h *handshake) span() SpanID { return wire(h.trace, message{h.index, 0, true}) }

func (t *Tracer) handshake(e *probe.Event) {
	peer, name, ok := t.opt.Peer(e.Peer)
	if !ok || e.Dropped() {
		return
	}
	hs := t.peers[e.Peer]
	if hs == nil {
		hs = &handshakes{}
		t.peers[e.Peer] = hs
	}
	sent := e.Seam == probe.SeamUDPSend
	switch {
	case e.Kind == probe.KindInitiation && sent:
		if h := &hs.ours; h.sent != 0 && h.answered == 0 {
			t.shake(h, e, peer, name, true)
		}
		hs.ours = handshake{e.Sender, traceOfHandshake(e.Sender, t.opt.Self(), peer), e.Time, 0}
	case e.Kind == probe.KindInitiation:
		hs.theirs = handshake{e.Sender, traceOfHandshake(e.Sender, peer, t.opt.Self()), e.Time, 0}
	case e.Kind == probe.KindResponse && !sent && hs.ours.index == e.Receiver && hs.ours.answered == 0:
		hs.ours.answered = e.Time
		t.shake(&hs.ours, e, peer, name, true)
	case e.Kind == probe.KindResponse && sent && hs.theirs.index == e.Receiver && hs.theirs.answered == 0:
		hs.theirs.answered = e.Time
		t.shake(&hs.theirs, e, peer, name, false)
	}
}

// shake tells of a handshake that has had its end: a response, or another initiation.
func (t *Tracer) shake(h *handshake, e *probe.Event, peer key.Public, name string, ours bool) {
	sampled := t.opt.Threshold.Keeps(h.trace)
	if !sampled && (h.answered != 0 || !t.limit.take(e.Time)) {
		return
	}
	s := Span{Trace: h.trace, ID: h.span(), Name: "A2-A3", Kind: Client, Start: h.sent, End: h.answered, Sampled: sampled}
	if !ours {
		s.ID, s.Parent, s.Remote, s.Name, s.Kind = newSpan(), h.span(), true, "B1-B2", Server
	}
	s.text("wgnode.handshake", map[bool]string{true: outcomeAnswered, false: outcomeNoAnswer}[h.answered != 0])
	s.number("wgnode.handshake.index", int64(h.index))
	s.text("wgnode.peer.instance_id", Instance(peer))
	if !t.opt.Anonymize {
		s.text("wgnode.peer.name", name)
		s.text("wgnode.peer.public_key", peer.Base64())
		if _, dst := e.Outer(); ours && dst.IsValid() {
			s.text("network.peer.address", dst.Addr().String())
		}
	}
	if h.answered == 0 {
		s.End, s.Error = e.Time, "no answer"
	}
	t.opt.Out([]Span{s})
}

// waitedFor is the handshake that was completed between two times, nil if none was.
func (t *Tracer) waitedFor(peer probe.PeerID, from, to int64) *handshake {
	hs := t.peers[peer]
	if hs == nil {
		return nil
	}
	if h := hs.ours; h.answered >= from && h.answered <= to {
		return &h
	}
	return nil
}

// Instance is the UUID of the node that has a public key, the same on every host: version 8 (RFC
// 9562).
func Instance(k key.Public) string {
	sum := sha256.Sum256(append([]byte("wgnode instance\x00"), k[:]...))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
