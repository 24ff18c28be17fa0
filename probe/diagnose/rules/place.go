package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file is about where a peer is, and how this host knows it.

// mappingLife is for how long NAT remembers one that sends nothing, at least: keepalives
// every 25 s keep its memory fresh as a rule.
const mappingLife = 25 * time.Second

// mapping weakens a verdict that a peer is not reached where its packets came from. If NAT
// is in between, its mapping may have expired: then it is the NAT that does not answer, or
// says that a port is closed, and nothing is wrong with the peer.
func (f facts) mapping(v *diagnose.Verdict, now time.Time) {
	p := f.Peer
	if p.Unplaced && !p.Route.Local {
		f.unplaced(v)
		return
	}
	if !p.Learned || p.Route.Local {
		return
	}
	heard := "it was not heard meanwhile"
	silent := p.Heard.IsZero() || now.Sub(p.Heard) >= mappingLife
	if !p.Heard.IsZero() {
		heard = "it was heard last " + probe.Brief(now.Sub(p.Heard)) + " ago"
	}
	v.Evidence = append(v.Evidence, evidence.Authenticated.Says("that %s is at %s is learned from its packets; %s",
		p.Label(), p.Endpoint, heard),
		evidence.Inferred.Decides("whether %s or NAT in front of it is there cannot be seen from here", p.Label()))
	if p.Written != "" {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("the configuration has its endpoint at %s", p.Written))
	}
	expired := diagnose.Maybe(diagnose.NoKeepalive, "is %s behind NAT? Have it send something to this host: if it can be reached then, "+
		"the mapping had expired", p.Label())
	if len(v.Candidates) == 0 {
		v.Candidates = []diagnose.Candidate{diagnose.Maybe(v.Code, "%s", f.elseThere(v.Code))}
	}
	if !silent {
		v.Candidates = append(v.Candidates, expired)
		return
	}
	v.Summary += fmt.Sprintf("; or NAT in front of %s has forgotten it: %s", p.Label(), heard)
	v.Candidates = append([]diagnose.Candidate{expired}, v.Candidates...)
	there := fix.Where{Host: p.Label(), Section: "Peer", Peer: f.PublicKey.String()}
	v.Fix = append(fix.Steps{fix.Notef("if %s is behind NAT: there, in the [Peer] with public key %s:", p.Label(), f.PublicKey),
		fix.Config(there, "PersistentKeepalive", "25"), fix.Note("until then only it can begin. Else:")}, v.Fix...)
}

// unplaced is mapping for a peer of which it is not known whether its endpoint was set or learned.
func (f facts) unplaced(v *diagnose.Verdict) {
	p := f.Peer
	v.Evidence = append(v.Evidence, evidence.Inferred.Decides("whether %s was set as the endpoint of %s, or learned from its packets, is not "+
		"known: NAT in front of it may have forgotten that", p.Endpoint, p.Label()))
	if len(v.Candidates) == 0 {
		v.Candidates = []diagnose.Candidate{diagnose.Maybe(v.Code, "%s", f.elseThere(v.Code))}
	}
	v.Candidates = append(v.Candidates, diagnose.Maybe(diagnose.NoKeepalive,
		"is %s behind NAT? Have it send something to this host: if it can be reached then, the mapping had expired", p.Label()))
}

// elseThere is the check for what an ICMP error from the peer's own address says.
func (f facts) elseThere(code diagnose.Code) string {
	p := f.Peer
	if code == diagnose.EndpointPortClosed {
		return fmt.Sprintf("on %s, wg show all listen-port must say %d, unless NAT changes the port", p.Label(), p.Endpoint.Port())
	}
	return fmt.Sprintf("on %s, nft list ruleset: does a rule reject UDP to port %d?", p.Label(), p.Endpoint.Port())
}

// otherAddresses adds to a verdict that a peer does not answer which other addresses its name
// has: the node tries one after the other.
func (f facts) otherAddresses(v *diagnose.Verdict) {
	p := f.Peer
	var others []string
	for _, a := range p.Addresses {
		if a != p.Endpoint {
			heard := ""
			if i := slices.IndexFunc(p.Earlier, func(was diagnose.Place) bool { return was.Endpoint == a }); i >= 0 {
				heard = ", tried before"
				if !p.Earlier[i].Heard.IsZero() {
					heard = ", where it was heard at " + p.Earlier[i].Heard.Format(time.TimeOnly)
				}
			}
			others = append(others, a.String()+heard)
		}
	}
	if len(others) > 0 {
		v.Evidence = append(v.Evidence, evidence.Kernel.Says("%s has other addresses, which are tried in turn: %s", hostOf(p.Written),
			strings.Join(others, "; ")))
	}
}
