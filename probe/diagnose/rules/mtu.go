package rules

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/harmless"
)

// leastIPv4 and leastIPv6 are what every path with IPv4 should take (RFC 791), and what
// every link with IPv6 does (RFC 8200), in bytes.
const leastIPv4, leastIPv6 = 576, 1280

// toldSlack is by how much what a router says may be above what was found to get through:
// sizes are tried in steps, and encrypted packets padded.
const toldSlack = 16

// blackhole: small packets get through, full-size ones do not, and nobody says
// so. That they are lost is known by what does not come: it is never certain.
func (f facts) blackhole(time.Time) *ruling {
	m := f.PathMTU
	if m == nil || m.Untested != "" || m.Largest >= m.Link || m.ToldBy.IsValid() && m.Told <= m.Largest+toldSlack {
		return nil
	}
	where := "there or back"
	if m.Forth {
		where = "on the way back"
	}
	v := diagnose.Verdict{Code: diagnose.MTUBlackhole, Checkpoint: probe.A5, Where: diagnose.WherePath,
		Summary: fmt.Sprintf("small packets to %s get through, "+
			"packets of the tunnel's full size of %d bytes are lost %s without an error: some sites hang",
			m.To, m.Link, where),
		Evidence: []evidence.Line{
			evidence.Authenticated.Decides("the largest ICMP echo that was answered has %d bytes, with its IP header", m.Largest),
			evidence.Inferred.Decides("one of %d bytes was not, each time that it was sent, and no packet-too-big came", m.Link)},
		Candidates: []diagnose.Candidate{
			diagnose.Maybe(diagnose.MTUBlackhole, "ping -M do -c 9 -s %d %s, then with -s %d: of the larger none is answered, of the smaller all",
				m.Link-echoHeaders(m.To), m.To, m.Largest-echoHeaders(m.To)),
			diagnose.Maybe(diagnose.NoReplyFromDestination, "on %s, tcpdump -ni any %s and greater %d: if the larger ones arrive, "+
				"it or its firewall does not answer large pings, or the answers are lost on the way back", m.To, icmpOf(m.To), m.Largest)},
		Fix: f.smaller(m)}
	if m.ToldBy.IsValid() {
		v.Summary = fmt.Sprintf("small packets to %s get through, packets of the tunnel's full size of %d bytes are lost %s: "+
			"%s says that %d bytes pass, and they do not", m.To, m.Link, where, m.ToldBy, m.Told)
		v.Evidence[1] = evidence.Inferred.Decides("one of %d bytes was not, nor of %d, which %s claims to pass", m.Link, m.Told, m.ToldBy)
	}
	if m.Forth {
		v.Evidence = append(v.Evidence, evidence.Authenticated.Says("a datagram of %d bytes gets there: the small answer to "+
			"it came back", m.Link))
		v.Fix = append(fix.Steps{fix.Note("the other end sends what is too large; there, too:")}, v.Fix...)
	}
	if m.Largest < leastIPv6 && m.Largest >= least(m.To) {
		v.Evidence = append(v.Evidence, evidence.Inferred.Says("%d is less than the %d bytes that IPv6 needs: the path "+
			"itself should be fixed", m.Largest,
			leastIPv6))
		v.Fix = append(fix.Steps{fix.Notef("fix the path; or, if the tunnel needs no IPv6, which needs %d:", leastIPv6)}, v.Fix...)
	}
	return final(v)
}

// smaller is how to send what gets through. What a path of this family must take at least
// is the least that an interface can be set to.
func (f facts) smaller(m *diagnose.PathMTU) fix.Steps {
	mtu := m.Largest
	if mtu < least(m.To) {
		return fix.Steps{fix.Notef("fix the path: %d bytes is less than the %d that every path must carry, and no MTU helps", mtu, least(m.To))}
	}
	return fix.Steps{fix.Note("at once:"), fix.Command("ip link set mtu %d dev %s", mtu, f.Interface),
		fix.Notef("for good, in %s:", f.ownSection()), fix.Config(f.ownSection(), "MTU", strconv.Itoa(mtu)),
		fix.Note("or, if the path cannot be fixed and other hosts send through this one:"),
		fix.Command("nft add rule inet filter forward oifname %s tcp flags syn tcp option maxseg size set %d",
			quoted(f.Interface), mtu-tcpHeaders(m.To))}
}

// least is what every path of an address's family takes.
func least(a netip.Addr) int {
	if a.Is4() {
		return leastIPv4
	}
	return leastIPv6
}

// measured is what was found out about large packets, for evidence. Nothing may have been.
func measured(m *diagnose.PathMTU) evidence.Line {
	if m == nil || m.Untested != "" {
		text := "full-size packets were not tested"
		if m != nil {
			text += ": " + m.Untested
		}
		return evidence.Kernel.Says("%s", text)
	}
	if m.ToldBy.IsValid() && m.Told == 0 {
		return evidence.Authenticated.Says("the largest packet that gets there and back has %d bytes, "+
			"the tunnel's MTU is %d; %s tells senders that it is less, but not how much, and they try smaller ones",
			m.Largest, m.Link, m.ToldBy)
	}
	if m.ToldBy.IsValid() {
		return evidence.Authenticated.Says("the largest packet that gets there and back has %d bytes, "+
			"the tunnel's MTU is %d; %s tells senders so (%d), and they adapt",
			m.Largest, m.Link, m.ToldBy, m.Told)
	}
	return evidence.Authenticated.Says("packets of the tunnel's full size, %d bytes, get there and back", m.Link)
}

// echoHeaders is what IP and ICMP take of an echo, in bytes.
func echoHeaders(a netip.Addr) int { return tcpHeaders(a) - tcpHeader + icmpHeader }

const tcpHeader, icmpHeader = 20, 8

// icmpOf is the protocol of an address's family as tcpdump writes it.
func icmpOf(a netip.Addr) string { return "icmp" + six(a) }

// tcpHeaders is what IP and TCP take of a packet, in bytes.
func tcpHeaders(a netip.Addr) int {
	if a.Is4() {
		return 40
	}
	return 60
}

// quoted is a name as nft reads it, in a command for a shell.
func quoted(name string) harmless.Raw {
	if harmless.Shell(name) == name {
		return harmless.Raw(`"` + name + `"`)
	}
	return harmless.Raw(harmless.Shell(`"` + name + `"`))
}
