package rules

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
)

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func joinPrefixes(ps []netip.Prefix) string {
	if len(ps) == 0 {
		return "(none)"
	}
	return strings.Join(prefixStrings(ps), ", ")
}

func commaPrefixes(ps []netip.Prefix) string { return strings.Join(prefixStrings(ps), ",") }

func prefixStrings(ps []netip.Prefix) []string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.String()
	}
	return s
}

// ownSection is this node's own section of its configuration.
func (f facts) ownSection() fix.Where { return fix.Where{File: f.Config, Section: "Interface"} }

// sectionOf is a peer's section of the configuration.
func (f facts) sectionOf(p *diagnose.Peer) fix.Where {
	return fix.Where{File: f.Config, Section: "Peer", Peer: p.KeyText(), Name: p.Label()}
}

// rightEndpoint is to be done where a peer's endpoint is not the peer.
func (f facts) rightEndpoint(p *diagnose.Peer) fix.Steps {
	in := f.sectionOf(p)
	return fix.Steps{fix.Notef("the address of %s, in its %s%s:", p.Label(), in.Heading(), in.InFile()),
		fix.Config(in, "Endpoint", "HOST:PORT")}
}

func (f facts) markText() string {
	if f.FwMark == 0 {
		return ""
	}
	return fmt.Sprintf(" mark %#x", f.FwMark)
}

// answerTime is how long an answer may take to have an effect on its receiver.
const answerTime = 700 * time.Millisecond

// current reports whether e is not only remembered, and its effects would have
// shown at time now.
func (f facts) current(e *probe.Event, now time.Time) bool {
	return f.Since.IsZero() || e.When().After(f.Since) && now.Sub(e.When()) > answerTime
}

func (f facts) outerSource(e *probe.Event) string {
	src, _ := e.Outer()
	if !src.IsValid() {
		return f.Peer.Endpoint.String()
	}
	return src.String()
}

func (f facts) outerTarget(e *probe.Event) string {
	_, dst := e.Outer()
	return dst.String()
}

// askingCommand is what somebody behind the peer may type to send a packet to the
// target.
func (f facts) askingCommand() fix.Step {
	t := f.Flow.Target
	if t.Port() == 0 {
		return fix.Check("ping -c 3 %s", t.Addr())
	}
	return fix.Check("nc -vz %s %d", t.Addr(), t.Port())
}

func hostOf(hostport string) string {
	h, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return h
}

func bracket(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

func (f facts) target() string { return probe.FlowText(f.Flow.Target, f.Flow.UDP) }
