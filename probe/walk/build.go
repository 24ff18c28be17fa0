package walk

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
)

// Build puts the facts in order. The facts are not changed, and the walk keeps
// nothing of them but strings.
func Build(f *Facts) *Walk {
	b := &builder{f: f}
	b.out()
	b.back()
	b.settle()
	w := &Walk{Interface: f.Interface, Target: f.Target, Peer: f.Peer, PeerName: f.PeerName, Steps: b.steps,
		Notes: append([]string{}, f.Limits...)}
	w.Outcome = b.outcome()
	return w
}

type builder struct {
	f     *Facts
	steps []Step
}

// add appends a step, and gives it its number.
func (b *builder) add(leg Leg, zone Zone, place Place, title string, found Step) {
	found.Number, found.Leg, found.Zone, found.Place, found.Title = len(b.steps)+1, leg, zone, place, title
	if found.Status == "" {
		found.Status = Unknown
	}
	b.steps = append(b.steps, found)
}

// data reports whether the encrypted packet itself left the device. If not, the
// steps outside of the tunnel are those of the handshake that goes before it.
func (b *builder) data() bool { return b.f.Seen[probe.A4] != nil }

// encrypted returns the passages outside of the tunnel.
func (b *builder) encrypted() (out, back *Passage) {
	switch {
	case b.data():
		return b.f.Sent, b.f.Received
	case b.f.Seen[probe.A2] != nil:
		return b.f.Initiation, b.f.Response
	}
	return nil, nil
}

func (b *builder) out() {
	f := b.f
	b.add(Out, Application, App, "application", Step{Status: Pass, Result: "sends " + f.Packet})
	if f.Stack {
		b.add(Out, Application, Stack, "userspace network stack", Step{Result: "the kernel has no part in it: no rules, no hooks"})
	} else {
		b.add(Out, Application, Routing, "routing decision", b.way(f.Inner, f.Interface))
		b.add(Out, Application, Output, "output", b.hook(f.Out, Output))
		if f.Rerouted != nil {
			b.add(Out, Application, Rerouting, fmt.Sprintf("routing again: mark %#x", f.Rerouted.Mark), b.way(f.Rerouted, f.Interface))
		}
		b.add(Out, Application, Postrouting, "postrouting", b.hook(f.Out, Postrouting))
	}
	b.add(Out, Tunnel, Cryptokey, "cryptokey routing", b.cryptokey())
	if f.Seen[probe.A2] != nil {
		b.add(Out, Tunnel, Handshake, "handshake", b.handshake())
	}
	out, _ := b.encrypted()
	if b.data() || f.Seen[probe.A2] == nil {
		b.add(Out, Tunnel, Encapsulate, "encapsulation", b.encapsulation())
	}
	title := "routing decision, no mark"
	if f.Outer != nil && f.Outer.Mark != 0 {
		title = fmt.Sprintf("routing decision, mark %#x", f.Outer.Mark)
	}
	b.add(Out, Network, Routing, title, b.way(f.Outer, ""))
	b.add(Out, Network, Output, "output", b.hook(out, Output))
	b.add(Out, Network, Postrouting, "postrouting", b.hook(out, Postrouting))
	b.add(Out, Network, Wire, "wire", b.wireOut(out))
}

func (b *builder) back() {
	f := b.f
	_, in := b.encrypted()
	b.add(Back, Network, Wire, "wire", b.wireIn(in))
	b.arrival(Network, in)
	b.add(Back, Tunnel, Decrypt, "decryption", b.decryption())
	b.add(Back, Tunnel, Reentry, "re-entry on "+f.Interface, b.reentry())
	if f.Stack {
		b.add(Back, Application, Stack, "userspace network stack", Step{Result: "the kernel has no part in it: no rules, no hooks"})
	} else {
		b.arrival(Application, f.In)
	}
	app := Step{Result: f.Answer.Text}
	if f.Answer.Answered {
		app.Status = Pass
		app.Result += fmt.Sprintf(" after %v", f.Answer.Took.Round(10*time.Microsecond))
	} else if f.InnerError != "" {
		app.Status, app.Result = Lost, f.InnerError
	}
	b.add(Back, Application, App, "application", app)
}

func (b *builder) arrival(zone Zone, p *Passage) {
	b.add(Back, zone, Prerouting, "prerouting", b.hook(p, Prerouting))
	b.add(Back, zone, SourceCheck, "routing, source check", b.check(p))
	b.add(Back, zone, Input, "input", b.hook(p, Input))
}

// way is a routing decision. The packet is lost if it leads nowhere, or past the
// link that it should take, "" for any.
func (b *builder) way(w *Way, want string) Step {
	if w == nil {
		return Step{Result: "not visible: the routes could not be read"}
	}
	s := Step{Status: Pass, Result: w.Result, Evidence: slices.Clone(w.Evidence)}
	switch {
	case w.Rejects:
		s.Status = Lost
	case want != "" && w.Link != want && b.f.Seen[probe.A1] == nil:
		// Something in output may yet lead it back.
		if b.f.Rerouted == nil || w == b.f.Rerouted {
			s.Status = Lost
			s.Evidence = append(s.Evidence, "it does not enter "+want)
		}
	case want == "" && w.Link == b.f.Interface && w.Link != "":
		s.Status = Lost
		s.Evidence = append(s.Evidence, "that leads back into the tunnel: the packet would be encrypted again and again")
	}
	return s
}

// order is that of the hooks on a packet's way.
var order = map[string]int{"prerouting": 1, "input": 2, "output": 1, "postrouting": 2}

// hook is what a packet met in one hook.
func (b *builder) hook(p *Passage, at Place) Step {
	name := string(at)
	if p == nil {
		return Step{Result: b.unseen()}
	}
	s := Step{Status: Pass}
	if at == Output { // of what came in the wire tells
		s.Evidence = append(s.Evidence, p.Packet)
		if p.Other != "" {
			s.Evidence = append(s.Evidence, p.Other)
		}
	}
	var met []string
	for _, v := range p.Visits {
		if v.Hook != name {
			continue
		}
		met = append(met, chainName(v.Chain)+": "+v.Verdict)
		s.Evidence = append(s.Evidence, v.Chain)
		for _, line := range v.Lines {
			s.Evidence = append(s.Evidence, "  "+line)
		}
	}
	if p.Incomplete {
		s.Evidence = append(s.Evidence, "some trace events were missed")
	}
	s.Result = strings.Join(met, "; ")
	if len(met) == 0 {
		s.Result = "no chain meets it"
	}
	last := p.End
	switch {
	case p.Drop != nil:
		last = p.Drop.Hook
	case p.Lost != "":
		last = p.Lost
	}
	switch {
	case p.Drop != nil && p.Drop.Hook == name:
		s.Status, s.Result = Lost, "dropped by "+p.Drop.By
	case order[name] <= order[last]:
	case p.Lost == string(Output) && !p.Incomplete:
		s.Status, s.Result = Lost, "passed output and did not come here: no rule dropped it, another part of the kernel did"
	default:
		s.Status, s.Result = Unknown, "it was not seen here"
	}
	return s
}

// unseen says why nothing is known of a hook.
func (b *builder) unseen() string {
	if b.f.Blind != "" {
		return "not visible: " + b.f.Blind
	}
	return "it was not seen here"
}

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

func (b *builder) cryptokey() Step {
	e := b.f.Seen[probe.A1]
	if e == nil {
		return Step{Checkpoint: "A1", Result: "it did not come to " + b.f.Interface}
	}
	s := at(probe.A1, e, "AllowedIPs %s of %s", e.Prefix(), b.peer())
	if e.Reason == probe.NoAllowedIPsMatch {
		s.Result = "dropped: the destination is in no peer's AllowedIPs"
	}
	s.Evidence = append(s.Evidence, fmt.Sprintf("read from %s: %s", b.f.Interface, inner(e)))
	return s
}

func (b *builder) handshake() Step {
	init, res := b.f.Seen[probe.A2], b.f.Seen[probe.A3]
	_, to := init.Outer()
	s := at(probe.A2, init, "there was no session: initiation to %s, %d bytes; the packet waits", to, init.OuterLen)
	s.Evidence = append(s.Evidence, fmt.Sprintf("A2 initiation to %s, sender %#08x", to, init.Sender))
	if !b.data() {
		return s // its walk is that of the steps that follow
	}
	s.Evidence = append(s.Evidence, b.brief(b.f.Initiation)...)
	if res != nil {
		from, _ := res.Outer()
		s.Result = fmt.Sprintf("there was no session: initiation to %s, answered after %v", to, time.Duration(res.Time-init.Time).Round(10*time.Microsecond))
		s.Evidence = append(s.Evidence, fmt.Sprintf("A3 response from %s, %d bytes, sender %#08x", from, res.OuterLen, res.Sender))
		s.Evidence = append(s.Evidence, b.brief(b.f.Response)...)
	}
	return s
}

// brief says in a line which hooks a packet passed.
func (b *builder) brief(p *Passage) []string {
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
		return Step{Checkpoint: "A4", Result: "the packet waits in the device for a handshake, and none left"}
	}
	_, to := e.Outer()
	s := at(probe.A4, e, "%d bytes in a datagram of %d to %s", e.InnerLen, e.OuterLen, to)
	s.Evidence = append(s.Evidence, fmt.Sprintf("receiver index %#08x, counter %d", e.Receiver, e.Counter))
	if int(e.OuterLen) > probe.LenKeepalive+int(e.InnerLen) {
		s.Evidence = append(s.Evidence, fmt.Sprintf("%d bytes of header and tag, %d of padding", probe.LenKeepalive, int(e.OuterLen)-probe.LenKeepalive-int(e.InnerLen)))
	}
	if b.f.SendError != "" {
		s.Evidence = append(s.Evidence, "the socket answers: "+b.f.SendError)
	}
	return s
}

func (b *builder) wireOut(p *Passage) Step {
	s := Step{Result: b.unseen()}
	w := b.f.Outer
	link := ""
	if w != nil {
		link = w.Link
	}
	if p != nil && p.Out != "" {
		link = p.Out
	}
	if p != nil && p.End == string(Postrouting) {
		s.Status, s.Result = Pass, "out of "+link
	} else if p == nil && b.sent() && b.f.SendError == "" && link != "" {
		s.Result = "towards " + link + "; " + b.unseen()
	}
	if w != nil && w.NextHop != "" && s.Result != "" {
		s.Evidence = append(s.Evidence, w.NextHop)
		if w.Silent && b.f.Seen[probe.A5] == nil && b.f.Seen[probe.A3] == nil {
			s.Status, s.Result = Lost, "the next hop does not answer on "+link
		}
	}
	switch {
	case b.f.NetworkError != "" && b.f.Seen[probe.A5] == nil && b.f.Seen[probe.A3] == nil:
		s.Status, s.Result = Lost, b.f.NetworkError
	case b.f.SendError != "" && p == nil && b.f.Seen[probe.A5] == nil:
		s.Status, s.Result = Lost, "the kernel refuses the packet: "+b.f.SendError
		s.Evidence = append(s.Evidence, b.unseen())
	}
	return s
}

func (b *builder) sent() bool { return b.data() || b.f.Seen[probe.A2] != nil }

// arrived is the event of what came back encrypted.
func (b *builder) arrived() *probe.Event {
	if b.data() {
		return b.f.Seen[probe.A5]
	}
	return b.f.Seen[probe.A3]
}

func (b *builder) wireIn(p *Passage) Step {
	switch e := b.arrived(); {
	case p != nil:
		s := Step{Status: Pass, Result: "in on " + p.In, Evidence: []string{p.Packet}}
		if p.Other != "" {
			s.Evidence = append(s.Evidence, p.Other)
		}
		return s
	case e != nil:
		from, _ := e.Outer()
		return Step{Status: Pass, Result: fmt.Sprintf("from %s, %d bytes", from, e.OuterLen)}
	case b.sent() && b.f.Blind != "":
		return Step{Result: "nothing has come to the tunnel; whether this host dropped it is not visible: " + b.f.Blind}
	case b.sent():
		return Step{Status: Lost, Result: "nothing came back"}
	}
	return Step{}
}

// check is what comes between prerouting and input.
func (b *builder) check(p *Passage) Step {
	if p == nil {
		return Step{Result: b.unseen()}
	}
	s := Step{Status: Unknown, Result: "not visible: the routes could not be read"}
	if c := p.Check; c != nil {
		s.Status, s.Result, s.Evidence = Pass, c.Result, slices.Clone(c.Evidence)
	}
	passed := p.End != "" || p.Drop != nil && p.Drop.Hook == string(Input) || p.Lost == string(Input)
	switch {
	case passed && p.Check != nil && p.Check.Drops:
		// What the kernel did counts more than what it should have done.
		s.Evidence = append(s.Evidence, "and yet it came to input: the routes have changed, or were read wrongly")
		s.Status = Pass
	case passed:
		s.Status = Pass
	case p.Lost == string(Prerouting) && !p.Incomplete:
		s.Status = Lost
		if p.Check == nil || !p.Check.Drops {
			s.Result = "passed prerouting and did not come to input: no rule dropped it, routing did"
		}
	case p.Drop == nil:
		s.Status = Unknown
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
	if e == nil {
		return Step{Checkpoint: "A5", Result: "no such packet came to the tunnel"}
	}
	s := at(probe.A5, e, "AllowedIPs %s of %s allow the source", e.Prefix(), b.peer())
	if e.Reason == probe.DisallowedSource {
		src, _ := e.Inner()
		s.Result = fmt.Sprintf("dropped: the source %s is not in the AllowedIPs of %s", src.Addr(), b.peer())
	}
	from, _ := e.Outer()
	s.Evidence = append(s.Evidence, fmt.Sprintf("from %s, %d bytes, receiver index %#08x, counter %d", from, e.OuterLen, e.Receiver, e.Counter))
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

// settle makes the statuses agree. What comes after a loss was not reached, and
// what comes before something that was seen was passed. In between is what nobody
// saw: that ends at the next event of the tunnel, which would have been seen.
func (b *builder) settle() {
	end := b.first(Lost)
	hidden := end < 0
	if hidden {
		end = b.lastSeen()
	}
	for i := range b.steps {
		s := &b.steps[i]
		if i > end+1 && s.Checkpoint != "" {
			hidden = false
		}
		switch {
		case i <= end && s.Status == Unknown:
			s.Status = Pass
		case i > end && hidden:
			s.Status = Unknown
		case i > end:
			s.Status, s.Result, s.Evidence, s.Time = NotReached, "", nil, time.Time{}
		}
		if i > end && s.Checkpoint != "" {
			hidden = false
		}
		if s.Evidence == nil {
			s.Evidence = []string{}
		}
	}
}

// lastSeen returns the place of the last step that the packet is known to have
// passed. A routing decision is known also of a packet that did not get there.
func (b *builder) lastSeen() int {
	last := 0
	for i := range b.steps {
		s := &b.steps[i]
		if s.Status == Pass && (s.Place != Routing && s.Place != Rerouting || i == last+1) {
			last = i
		}
	}
	return last
}

// first returns the place of the first step with a status, -1 if none has it.
func (b *builder) first(st Status) int {
	return slices.IndexFunc(b.steps, func(s Step) bool { return s.Status == st })
}

func (b *builder) outcome() Outcome {
	lost, hidden := b.first(Lost), b.first(Unknown)
	switch {
	case b.f.InnerError != "" && lost == len(b.steps)-1:
		return Outcome{Step: lost + 1, Summary: "lost behind the tunnel: " + b.f.InnerError}
	case lost >= 0:
		s := &b.steps[lost]
		return Outcome{Step: s.Number, Summary: fmt.Sprintf("lost at step %d, %s: %s", s.Number, s.Title, s.Result)}
	case hidden > 0:
		s, last := &b.steps[hidden], &b.steps[hidden-1]
		o := Outcome{Step: s.Number, Summary: fmt.Sprintf("last seen at step %d, %s; then ", last.Number, last.Title)}
		if b.f.Blind != "" && s.Checkpoint == "" {
			o.Summary += "not visible: " + b.f.Blind
		} else {
			o.Summary += fmt.Sprintf("%s: %s", s.Title, s.Result)
		}
		return o
	}
	return Outcome{Answered: true, Summary: "the reply came back: " + b.steps[len(b.steps)-1].Result}
}
