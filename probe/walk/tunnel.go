package walk

import (
	"fmt"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// at returns a step for an event at a checkpoint, with what it says.
func at(cp probe.Checkpoint, e *probe.Event, format string, args ...any) Step {
	s := Step{Status: Pass, Checkpoint: cp.String(), Time: e.When().UTC(), Result: fmt.Sprintf(format, args...)}
	if e.Dropped() {
		s.Status = Lost
		s.Result = "dropped: " + e.Reason.String()
	}
	return s
}

func (b *builder) peer() string {
	switch {
	case b.f.PeerName != "":
		return "peer " + b.f.PeerName
	case b.f.Peer != "":
		return "peer " + b.f.Peer
	}
	return "no peer"
}

// untold reports whether it is not told what is in a message.
func (b *builder) untold(e *probe.Event) bool {
	return b.f.Level.Copies() && e.InnerDst == (probe.Addr{})
}

func (b *builder) cryptokey() Step {
	e := b.f.Seen[probe.A1]
	if e == nil {
		return Step{Checkpoint: "A1", Result: "it did not come to " + b.f.Interface}
	}
	s := at(probe.A1, e, "AllowedIPs %s of %s", e.Prefix(), b.peer())
	switch e.Reason {
	case probe.NoAllowedIPsMatch, probe.LinkScope:
		s.Result = "dropped: the destination is in no peer's AllowedIPs"
	case probe.NoEndpoint:
		s.Result = fmt.Sprintf("dropped: AllowedIPs %s of %s, and %s has no endpoint", e.Prefix(), b.peer(), b.peer())
	}
	s.Evidence = append(s.Evidence, fmt.Sprintf("read from %s: %s", b.f.Interface, inner(e)))
	return s
}

func (b *builder) handshake() Step {
	init, res := b.f.Seen[probe.A2], b.f.Seen[probe.A3]
	_, to := init.Outer()
	s := at(probe.A2, init, "there was no session: %s; the packet waits", b.initiation(""))
	for i := range b.f.Unanswered {
		s.Evidence = append(s.Evidence, b.attempt(&b.f.Unanswered[i])...)
	}
	s.Evidence = append(s.Evidence, fmt.Sprintf("A2 initiation to %s, sender %#08x", to, init.Sender))
	if !b.data() {
		return s // its walk is that of the steps that follow
	}
	s.Evidence = append(s.Evidence, b.brief(b.f.Initiation)...)
	if res != nil {
		from, _ := res.Outer()
		s.Result = "there was no session: " + b.initiation(probe.Brief(time.Duration(res.Time-init.Time)))
		s.Evidence = append(s.Evidence, fmt.Sprintf("A3 response from %s, %d bytes, sender %#08x", from, res.OuterLen, res.Sender))
		s.Evidence = append(s.Evidence, b.brief(b.f.Response)...)
	}
	return s
}

// initiation says which one the packet waited for, after how long it was answered, "" if it was
// not, and what came of those before.
func (b *builder) initiation(answered string) string {
	init, n := b.f.Seen[probe.A2], len(b.f.Unanswered)
	_, to := init.Outer()
	if n == 0 {
		if answered == "" {
			return fmt.Sprintf("initiation to %s, %d bytes", to, init.OuterLen)
		}
		return fmt.Sprintf("initiation to %s, answered after %s", to, answered)
	}
	before := fmt.Sprintf("an earlier initiation to %s was not answered", to)
	if n > 1 {
		before = fmt.Sprintf("%d earlier initiations to %s were not answered", n, to)
	}
	later := probe.Brief(time.Duration(init.Time - b.f.Unanswered[n-1].Event.Time))
	if answered == "" {
		return fmt.Sprintf("%s; the next left %s later", before, later)
	}
	return fmt.Sprintf("%s; the next, %s later, was answered after %s", before, later, answered)
}

// attempt is what is known of an initiation that was not answered.
func (b *builder) attempt(a *Attempt) []string {
	_, to := a.Event.Outer()
	when, waits := "before the packet came", a.Event.Time-b.f.Seen[probe.A1].Time
	if waits >= 0 {
		when = "after it"
	}
	lines := append([]string{fmt.Sprintf("initiation to %s, sender %#08x, %s %s: no response came to the tunnel", to, a.Event.Sender,
		probe.Brief(time.Duration(waits).Abs()), when)}, b.brief(a.Sent)...)
	if a.Response == nil {
		return lines
	}
	lines = append(append(lines, "  its response came to this host"), b.brief(a.Response)...)
	if _, by := stopped(a.Response); by != "" {
		lines = append(lines, "  dropped by "+by)
	} else if a.Response.KernelDrop != nil {
		lines = append(lines, "  "+a.Response.KernelDrop.String())
	}
	return lines
}

// brief says in a line which hooks a packet passed.
func (b *builder) brief(p *evidence.Traversal) []string {
	if p == nil {
		return nil
	}
	lines := []string{"  " + p.Packet}
	for _, v := range p.Visits {
		lines = append(lines, "  "+v.Hook+": "+chainName(v.Chain)+": "+v.Verdict)
	}
	return lines
}

func (b *builder) encapsulation() Step {
	e := b.f.Seen[probe.A4]
	if e == nil {
		if b.f.Seen[probe.A1] == nil {
			return Step{Checkpoint: "A4"}
		}
		if b.f.Level.Copies() {
			return Step{Checkpoint: "A4", Result: "no message of its length left for " + b.peer()}
		}
		return Step{Checkpoint: "A4", Result: "the packet waits in the device for a handshake, and none left"}
	}
	_, to := e.Outer()
	if b.untold(e) {
		s := at(probe.A4, e, "likely in a datagram of %d bytes to %s: %s", e.OuterLen, to, b.f.SentOther)
		s.Evidence = append(s.Evidence, fmt.Sprintf("receiver index %#08x, counter %d", e.Receiver, e.Counter))
		return s
	}
	s := at(probe.A4, e, "%d bytes in a datagram of %d to %s", e.InnerLen, e.OuterLen, to)
	s.Evidence = append(s.Evidence, fmt.Sprintf("receiver index %#08x, counter %d", e.Receiver, e.Counter))
	if padding := int(e.OuterLen) - probe.LenKeepalive - int(e.InnerLen); padding > 0 {
		s.Evidence = append(s.Evidence, fmt.Sprintf("%d bytes of header and tag, %d of padding", probe.LenKeepalive, padding))
	}
	if b.f.SendError != "" {
		s.Evidence = append(s.Evidence, "the socket answers: "+b.f.SendError)
	}
	return s
}

func (b *builder) decryption() Step {
	if !b.data() && b.f.Seen[probe.A2] != nil {
		e := b.f.Seen[probe.A3]
		if e == nil {
			return Step{Checkpoint: "A3", Result: "no response came to the tunnel"}
		}
		s := at(probe.A3, e, "the response is good, and yet the packet did not leave")
		if e.Reason == probe.ResponseRejected {
			s.Result = "the handshake response cannot be decrypted: the preshared keys differ"
		}
		if !e.Dropped() {
			s.Status = Unknown
		}
		return s
	}
	e := b.f.Seen[probe.A5]
	switch {
	case e == nil:
		return Step{Checkpoint: "A5", Result: "no such packet came to the tunnel"}
	case b.untold(e):
		from, _ := e.Outer()
		s := at(probe.A5, e, "likely the message from %s of %d bytes: %s", from, e.OuterLen, b.f.ReceivedOther)
		if b.f.Seen[probe.A6] == nil {
			s.Status = Unknown
			s.Result += fmt.Sprintf("; whether the device has accepted it, level %s does not show", b.f.Level)
		}
		return s
	}
	s := at(probe.A5, e, "AllowedIPs %s of %s allow the source", e.Prefix(), b.peer())
	if e.Reason == probe.DisallowedSource {
		src, _ := e.Inner()
		s.Result = fmt.Sprintf("dropped: the source %s is not in the AllowedIPs of %s", src.Addr(), b.peer())
	}
	from, _ := e.Outer()
	s.Evidence = append(s.Evidence,
		fmt.Sprintf("from %s, %d bytes, receiver index %#08x, counter %d", from, e.OuterLen, e.Receiver, e.Counter))
	return s
}

func (b *builder) reentry() Step {
	e := b.f.Seen[probe.A6]
	if e == nil {
		return Step{Checkpoint: "A6", Result: "it did not leave the tunnel"}
	}
	s := at(probe.A6, e, "%s", inner(e))
	if e.Reason == probe.DisallowedSource {
		src, _ := e.Inner()
		s.Result = fmt.Sprintf("dropped: the source %s is not in the AllowedIPs of %s", src.Addr(), b.peer())
	}
	return s
}
