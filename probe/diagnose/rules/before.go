package rules

import (
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
)

// This file ranks causes by what worked a while ago: what was right then is the less likely
// to be wrong now.

// lately is for how long what worked says something about now.
const lately = 5 * time.Minute

// workedBefore ranks why a peer does not answer, where it was heard lately: both ends had
// each other's keys.
func (f facts) workedBefore(v *diagnose.Verdict, now time.Time) {
	p := f.Peer
	if p.Heard.IsZero() || now.Sub(p.Heard) > lately {
		return
	}
	v.Evidence = append(v.Evidence, evidence.Authenticated.Says("%s was heard %s ago: the keys were right then", p.Label(),
		probe.Brief(now.Sub(p.Heard))))
	last(v, diagnose.UnknownPeer, diagnose.WrongPublicKey)
}

// answeredBefore ranks why a target does not answer, where it or its host has answered the
// same source lately: the way there and back was right. Answers to another source say
// nothing about what the peer allows this one.
func (f facts) answeredBefore(v *diagnose.Verdict, now time.Time) {
	a1 := f.Flow.Seen[probe.A1]
	if a1 == nil {
		return
	}
	from, _ := a1.Inner()
	var latest *diagnose.Before
	for i := range f.Flow.Before {
		b := &f.Flow.Before[i]
		switch {
		case now.Sub(b.At) > lately:
		case latest == nil,
			(b.To == from.Addr()) != (latest.To == from.Addr()) && b.To == from.Addr(),
			(b.To == from.Addr()) == (latest.To == from.Addr()) && b.Target && !latest.Target:
			latest = b
		}
	}
	if latest == nil {
		return
	}
	who, ago := f.target(), probe.Brief(now.Sub(latest.At))
	if !latest.Target {
		who = f.Flow.Target.Addr().String() + ", at another port or to pings,"
	}
	if latest.To != from.Addr() {
		v.Evidence = append(v.Evidence, evidence.Authenticated.Says("%s answered %s ago through the tunnel to %s, another source than %s",
			who, ago, latest.To, from.Addr()))
		last(v, diagnose.NoRouteOnward, diagnose.ForwardingDisabled)
		return
	}
	v.Evidence = append(v.Evidence, evidence.Authenticated.Says("%s answered %s ago through the tunnel: AllowedIPs and routes were right then",
		who, ago))
	last(v, diagnose.DisallowedSource, diagnose.NoRouteOnward, diagnose.ForwardingDisabled, diagnose.ReturnRouteWrong)
}

// last puts the candidates with these codes behind the others.
func last(v *diagnose.Verdict, codes ...diagnose.Code) {
	slices.SortStableFunc(v.Candidates, func(a, b diagnose.Candidate) int {
		return rank(codes, a.Code) - rank(codes, b.Code)
	})
}

func rank(later []diagnose.Code, c diagnose.Code) int {
	if slices.Contains(later, c) {
		return 1
	}
	return 0
}
