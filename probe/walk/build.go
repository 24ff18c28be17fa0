package walk

import (
	"cmp"
	"fmt"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Build puts the facts in order. The facts are not changed, and the walk keeps
// nothing of them but strings.
func Build(f *Facts) *Walk {
	b := &builder{f: f}
	b.out()
	b.back()
	b.settle()
	w := &Walk{Interface: f.Interface, Level: cmp.Or(f.Level, probe.LevelDevice), Target: f.Target, Peer: f.Peer,
		PeerName: f.PeerName, Steps: b.steps, Notes: append([]string{}, f.Limits...)}
	w.Outcome = b.outcome()
	for _, t := range []*evidence.Traversal{f.Out, f.Initiation, f.Sent, f.Response, f.Received, f.In} {
		if hint := t.Hinted(w.Outcome.Answered); hint != "" {
			w.Notes = append(w.Notes, hint)
		}
	}
	return w
}

type builder struct {
	f     *Facts
	steps []Step
	// astray says that the packet was not lost but did not take the tunnel.
	astray bool
	// end is the place of the step where it was lost, or else of the last that is known of.
	end int
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

// encrypted returns the traversals outside of the tunnel.
func (b *builder) encrypted() (out, back *evidence.Traversal) {
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
		b.add(Out, Application, Routing, "routing decision", b.innerRoute(f.Inner))
		b.add(Out, Application, Output, "output", b.hook(f.Out, Output))
		if f.Rerouted != nil {
			b.add(Out, Application, Rerouting, fmt.Sprintf("routing again: mark %#x", f.Rerouted.Mark), b.innerRoute(f.Rerouted))
		}
		b.add(Out, Application, Postrouting, "postrouting", b.hook(f.Out, Postrouting))
		b.device(Out, Application, Egress, f.Out)
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
	b.add(Out, Network, Routing, title, b.outerRoute(f.Outer))
	b.add(Out, Network, Output, "output", b.hook(out, Output))
	b.add(Out, Network, Postrouting, "postrouting", b.hook(out, Postrouting))
	b.device(Out, Network, Egress, out)
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
		app.Result += " after " + probe.Brief(f.Answer.Took)
	} else if f.InnerError != "" {
		app.Status, app.Result = Lost, f.InnerError
	}
	b.add(Back, Application, App, "application", app)
}

func (b *builder) arrival(zone Zone, p *evidence.Traversal) {
	b.device(Back, zone, Ingress, p)
	b.add(Back, zone, Prerouting, "prerouting", b.hook(p, Prerouting))
	b.add(Back, zone, SourceCheck, "routing, source check", b.check(p))
	b.add(Back, zone, Input, "input", b.hook(p, Input))
}
