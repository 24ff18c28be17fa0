package finding

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// dnsNotApplied looks for name servers of the configuration that the system does
// not ask first. A server on this host itself is no evidence: it may well ask
// those of the configuration.
func dnsNotApplied(f *Facts) []diagnose.Finding {
	if len(f.DNS) == 0 || f.ResolverOff || !f.ResolverSeen {
		return nil
	}
	asks := "nobody"
	if len(f.SystemAsks) > 0 {
		first := f.SystemAsks[0].Addr
		if slices.Contains(f.DNS, first) || first.IsLoopback() {
			return nil
		}
		asks = first.String()
	}
	return []diagnose.Finding{{
		Summary: fmt.Sprintf("the configuration has %s as name server, but by %s this host asks %s: "+
			"it was changed after the tunnel came up",
			addresses(f.DNS), f.Resolver, asks),
		Fix: fix.Steps{
			fix.Note("to set it again:"),
			fix.Command("wgnode reload %s", f.Interface),
			fix.Note("if it does not last, a DHCP client or network manager writes it: have that leave it alone")}}}
}

// dnsLeak looks for name servers that are asked outside of a tunnel which is
// meant to take everything.
func dnsLeak(f *Facts) []diagnose.Finding {
	if f.fullTunnel(false) == nil && f.fullTunnel(true) == nil || f.KillSwitch && !f.LANOpen {
		return nil
	}
	var out []string
	for _, s := range f.SystemAsks {
		if s.Route.Kind != evidence.RouteFound || s.Route.Local || s.Addr.IsLoopback() || s.Route.Interface == f.Interface {
			continue
		}
		out = append(out, fmt.Sprintf("%s by %s", s.Addr, s.Route.Interface))
	}
	if len(out) == 0 {
		return nil
	}
	steps := fix.Steps{fix.Notef("ask one that is reached through the tunnel; in %s:", f.ownSection()),
		fix.Config(f.ownSection(), "DNS", "ADDRESS")}
	if len(f.DNS) > 0 {
		steps = fix.Steps{fix.Note("which way each takes:"), fix.Check("ip route get %s", f.SystemAsks[0].Addr)}
	}
	return []diagnose.Finding{{
		Summary: fmt.Sprintf("everything is to go through the tunnel, but by %s names are asked for outside of it: %s",
			f.Resolver, strings.Join(out, ", ")),
		Fix: steps}}
}

// dnsUnreachable looks for configured servers that did not answer although the
// tunnel worked at that moment.
func dnsUnreachable(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for _, a := range f.Asked {
		what := fmt.Sprintf("did not answer within %v", a.Took)
		steps := fix.Steps{
			fix.Note("does it run, and does it listen to and allow questions from the tunnel? There:"),
			fix.Check("ss -ulnp sport = 53").On(a.Server.String())}
		switch {
		case a.Refused:
			what = "has nothing that listens on UDP port 53"
		case a.Rejects:
			what = "refuses to answer this host (REFUSED)"
			steps = fix.Steps{fix.Note("on it, allow questions from the addresses of the tunnel " +
				"(BIND: allow-query and allow-recursion; Unbound: access-control)")}
		case a.From.IsValid():
			what = fmt.Sprintf("answers from another address, %s, and such answers are not taken", a.From)
			if a.Disallowed {
				what = fmt.Sprintf("answers from another address, %s, which is not in the AllowedIPs of its peer", a.From)
			}
			steps = f.answersElsewhere(&a)
		}
		found = append(found, diagnose.Finding{
			Summary: fmt.Sprintf("the tunnel works, but the configured name server %s %s", a.Server, what), Fix: steps})
	}
	return found
}

// answersElsewhere is what to do about a server that does not answer from where it was asked.
func (f *Facts) answersElsewhere(a *Asked) fix.Steps {
	steps := fix.Steps{fix.Notef("on it, have it answer from the address that it was asked at, %s: let it listen there "+
		"(dnsmasq: bind-dynamic; Unbound: interface-automatic), and translate nothing that leaves by the tunnel", a.Server)}
	if !a.Disallowed {
		steps = append(steps, fix.Notef("or ask it at the other; in %s:", f.ownSection()), fix.Config(f.ownSection(), "DNS", a.From.String()))
	}
	return steps
}

func addresses(as []netip.Addr) string {
	words := make([]string, len(as))
	for i, a := range as {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}
