package diagnose

import (
	"cmp"
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Ladder returns the checkpoints of the facts' side, in order, and what is
// known of each, given the verdict v.
func (f *Facts) Ladder(v *Verdict, now time.Time) []Rung {
	side := cmp.Or(f.Side, probe.SideA)
	var rungs []Rung
	for _, cp := range probe.Checkpoints(side) {
		rungs = append(rungs, f.rung(cp, v, now))
		if cp == probe.B5 && f.Onward != nil { // out of the tunnel, and into it again
			rungs = append(rungs, f.Onward.Ladder(v, now)...)
		} else if cp == probe.B5 && f.entered(v.Checkpoint) {
			rungs = append(rungs, f.rung(v.Checkpoint, v, now))
		}
	}
	return rungs
}

// entered reports whether what came out of the tunnel was dropped at a checkpoint of the
// side that asks, as it entered the tunnel again. In a ladder of several hosts the verdict
// may be about another one.
func (f *Facts) entered(at probe.Checkpoint) bool {
	return at.Side() == probe.SideA && f.Side == probe.SideB && f.Flow != nil && f.Flow.Dropped != nil && f.Flow.Dropped.Checkpoint == at
}

func (f *Facts) rung(cp probe.Checkpoint, v *Verdict, now time.Time) Rung {
	r := Rung{Checkpoint: cp, Status: Unknown}
	if e := f.seen(cp); e != nil {
		r.Status, r.Time, r.Seam, r.Detail = Pass, e.When(), e.Seam, detail(e)
		r.PeerName = f.nameOf(e)
	} else if f.notNeeded(cp, now) {
		r.Status, r.Detail = NotNeeded, f.why(cp, now)
	} else if seen := f.seenBehind(cp); seen != "" {
		r.Status, r.Detail = Pass, seen
	} else if f.untold(cp) {
		r.Detail = fmt.Sprintf("level %s does not show which message has it", f.Level)
	}
	switch {
	case cp != v.Checkpoint:
	case r.Status == Pass && f.Flow != nil && f.Flow.Dropped != nil && f.Flow.Dropped.Checkpoint == cp:
		r.Status, r.Detail = Fail, r.Detail+": "+f.Flow.Dropped.Reason.String()
	case r.Status == Pass && v.Code == InputFirewall:
		// It left the tunnel, and what lies behind belongs to this rung.
		r.Status, r.Detail = Fail, r.Detail+"; it did not reach the application"
	case v.Code == PSKMismatch && f.Peer.Handshake.LastRejected != nil:
		e := f.Peer.Handshake.LastRejected
		r.Status, r.Time, r.Seam, r.Detail = Fail, e.When(), probe.SeamUDPReceive, "response arrived and could not be decrypted"
	default:
		r.Status = Fail
		if r.Detail == "" || v.Summary != "" {
			r.Detail = v.Summary
		}
	}
	return r
}

// untold reports whether which message passed a checkpoint is not known at the facts' level, though
// what is on both sides of it is.
func (f *Facts) untold(cp probe.Checkpoint) bool {
	if !f.Level.Copies() || !cp.OfFlow() {
		return false
	}
	switch cp.Seam() {
	case probe.SeamUDPSend:
		return true
	case probe.SeamUDPReceive:
		return f.Level == probe.LevelCapture
	}
	return false
}

// seenBehind words what was seen of the flow behind the tunnel, "" if nothing.
func (f *Facts) seenBehind(cp probe.Checkpoint) string {
	if cp == probe.B5 && f.Flow != nil && f.Flow.Dropped != nil && f.Flow.Dropped.Seam == probe.SeamForward &&
		f.Flow.Dropped.Checkpoint == probe.B6 {
		return "forwarded by a socket of this host before the watch began" // which was told so
	}
	if f.Kernel == nil || f.Flow == nil || f.Side != probe.SideB {
		return ""
	}
	switch p := f.Kernel.On(evidence.FromTunnel); {
	case cp == probe.B5 && f.Onward != nil && f.Flow.Seen[probe.A1] != nil:
		return "passed on to " + f.Onward.Peer.Label()
	case cp == probe.B6 && f.Onward != nil && f.Flow.Seen[probe.A6] != nil:
		return "came back from " + f.Onward.Peer.Label()
	case cp == probe.B5 && p.Passed == "postrouting":
		s := fmt.Sprintf("%s > %s forwarded out of %s", p.Src, p.Dst, p.Out)
		if p.Translated != "" {
			s += ", " + p.Translated
		}
		return s
	case cp == probe.B6 && f.Kernel.On(evidence.ToTunnel).Packets > 0:
		p = f.Kernel.On(evidence.ToTunnel)
		return fmt.Sprintf("%s > %s came in on %s", p.Src, p.Dst, p.In)
	}
	return ""
}

func (f *Facts) nameOf(e *probe.Event) string {
	if f.Peer == nil || e.Peer == 0 {
		return ""
	}
	return f.Peer.Label()
}

// seen is the first packet that passed a checkpoint.
func (f *Facts) seen(cp probe.Checkpoint) *probe.Event {
	if f.Flow != nil && f.Flow.Seen[cp] != nil {
		return f.Flow.Seen[cp]
	}
	if f.Peer != nil {
		return f.Peer.Seen[cp]
	}
	return nil
}

// notNeeded: the handshake while a session stands, B5 and B6 where the
// destination is this host.
func (f *Facts) notNeeded(cp probe.Checkpoint, now time.Time) bool {
	switch {
	case cp.Seam() == probe.SeamForward:
		own := f.Flow != nil && (f.Flow.Route.Local || f.Flow.Route.Overruled != "")
		return own && f.Kernel.On(evidence.FromTunnel).Out == "" // else it is a port forward
	case cp.OfFlow():
		return false
	}
	return f.Peer != nil && f.Peer.Handshake.Alive(now)
}

func (f *Facts) why(cp probe.Checkpoint, now time.Time) string {
	if cp.Seam() == probe.SeamForward {
		return "the destination is this host"
	}
	return fmt.Sprintf("session of %s ago", probe.Brief(now.Sub(f.Peer.Handshake.Established)))
}

// detail words an event for a rung.
func detail(e *probe.Event) string {
	src, dst := e.Inner()
	osrc, odst := e.Outer()
	inner := func() string {
		if !src.Addr().IsValid() {
			return ""
		}
		if src.Port() == 0 && dst.Port() == 0 || e.Proto != probe.ProtoTCP && e.Proto != probe.ProtoUDP {
			return fmt.Sprintf("%s > %s", src.Addr(), dst.Addr())
		}
		return fmt.Sprintf("%s > %s", src, dst)
	}
	switch e.Kind {
	case probe.KindInner:
		s := fmt.Sprintf("%s, %d bytes", inner(), e.InnerLen)
		if p := e.Prefix(); p.IsValid() {
			s += ", match " + p.String()
		}
		return s
	case probe.KindInitiation, probe.KindResponse, probe.KindCookie:
		if e.Seam == probe.SeamUDPSend {
			return fmt.Sprintf("%s to %s, %d bytes", e.Kind, odst, e.OuterLen)
		}
		return fmt.Sprintf("%s from %s, %d bytes", e.Kind, osrc, e.OuterLen)
	}
	dir, who := "from", osrc
	if e.Seam == probe.SeamUDPSend {
		dir, who = "to", odst
	}
	return fmt.Sprintf("%s %s %s, %d bytes, index %#08x counter %d", e.Kind, dir, who, e.OuterLen, e.Receiver, e.Counter)
}
