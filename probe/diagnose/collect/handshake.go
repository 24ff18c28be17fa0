package collect

import (
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// This file counts handshake messages since the latest handshake that was completed.

// reached forgets why the peer could not be reached: it has been.
func reached(p *diagnose.Peer) {
	p.Claim, p.Claims = nil, 0
	p.ICMP, p.ICMPs, p.SendErrno, p.SendError, p.NoEndpoint = nil, 0, 0, nil, nil
}

// outdated forgets the failures that were before a time: what left then has come through since.
func outdated(p *diagnose.Peer, at *probe.Event) {
	before := func(e *probe.Event) bool { return e != nil && e.Time < at.Time }
	if before(p.Claim) {
		p.Claim, p.Claims = nil, 0
	}
	if before(p.ICMP) {
		p.ICMP, p.ICMPs = nil, 0
	}
	if before(p.SendError) {
		p.SendErrno, p.SendError = 0, nil
	}
	if before(p.NoEndpoint) {
		p.NoEndpoint = nil
	}
}

func addToHandshake(h *diagnose.Handshake, e *probe.Event) {
	switch {
	case e.Reason == probe.HandshakeReplay:
		h.Replays++
	case e.Reason == probe.InitiationRefused:
		h.Refused++
		h.LastRefused = e
	case e.Reason == probe.ResponseRejected:
		h.Rejected++
		h.LastRejected = e
	case e.Reason == probe.ResponseStale:
		h.Stale++
	case e.Dropped():
	case e.Kind == probe.KindCookie && e.Seam == probe.SeamUDPReceive:
		h.Cookies++
	case e.Kind == probe.KindInitiation && e.Seam == probe.SeamUDPSend:
		h.Sent++
	case e.Kind == probe.KindInitiation && e.Seam == probe.SeamUDPReceive:
		h.Received++
	case e.Kind == probe.KindResponse && e.Seam == probe.SeamUDPSend:
		h.Answered++
		h.LastAnswered = e
	case e.Kind == probe.KindResponse && e.Seam == probe.SeamDevice:
		h.Sent, h.Rejected, h.Stale, h.Cookies = 0, 0, 0, 0
		h.LastRejected = nil
		h.Established, h.EstablishedNow = e.When(), true
	}
}

// addCopy takes in a copy of a handshake message, which says nothing of what the device has
// made of it. What is older than the latest handshake that the kernel calls complete belongs to
// that, or to one before.
func addCopy(h *diagnose.Handshake, e *probe.Event) {
	switch {
	case !e.When().After(h.Established):
	case e.Kind == probe.KindResponse && e.Seam == probe.SeamUDPReceive && !e.Dropped():
		h.Answers++
	case e.Kind == probe.KindCookie:
	default:
		addToHandshake(h, e)
	}
}

// complete notes that the kernel calls a handshake complete: both ends have its session.
func complete(p *diagnose.Peer, at time.Time) {
	p.Hear(at)
	reached(p)
	h := &p.Handshake
	h.Established, h.EstablishedNow = at, true
	h.Sent, h.Rejected, h.Stale, h.Cookies, h.Answers = 0, 0, 0, 0, 0
	h.Received, h.Answered, h.Replays, h.Refused = 0, 0, 0, 0
}

// confirmed notes that the peer uses the session that we answered it with.
func confirmed(h *diagnose.Handshake) {
	if h.Answered > 0 {
		h.Established, h.EstablishedNow = h.LastAnswered.When(), true
	}
	h.Received, h.Answered, h.Replays, h.Refused = 0, 0, 0, 0
	h.Sent, h.Rejected, h.Answers = 0, 0, 0
}
