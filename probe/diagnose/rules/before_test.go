package rules

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// What worked a while ago is less likely to be wrong now.
func TestRankedByWhatWorked(t *testing.T) {
	silent := func() *story { return tell(probe.SideA).asks().calls().after(5 * time.Second).calls() }
	unanswered := func() *story { return tell(probe.SideA).connects().asks() }
	answered := func(target bool, to netip.Addr, ago time.Duration) func(*story) {
		return func(s *story) { s.Flow.Before = []diagnose.Before{{To: to, Target: target, At: now.Add(-ago)}} }
	}
	for _, test := range []struct {
		name          string
		s             *story
		edit          func(s *story)
		first, before diagnose.Code // of the candidates; one that comes before
		after         diagnose.Code
	}{
		{name: "never heard", s: silent(), edit: func(*story) {}, first: diagnose.NoResponse, before: diagnose.UnknownPeer,
			after: diagnose.UnderlayInputFirewall},
		{name: "heard lately", s: silent(), edit: func(s *story) { s.Peer.Heard = now.Add(-time.Minute) }, first: diagnose.NoResponse,
			before: diagnose.UnderlayInputFirewall, after: diagnose.UnknownPeer},
		{name: "heard long ago", s: silent(), edit: func(s *story) { s.Peer.Heard = now.Add(-time.Hour) }, first: diagnose.NoResponse,
			before: diagnose.UnknownPeer, after: diagnose.UnderlayInputFirewall},
		{name: "never answered", s: unanswered(), edit: func(*story) {}, first: diagnose.DisallowedSource,
			before: diagnose.ForwardingDisabled, after: diagnose.ForwardFirewall},
		{name: "answered lately", s: unanswered(), edit: answered(true, here.Addr(), time.Minute), first: diagnose.ForwardFirewall,
			before: diagnose.NoReplyFromDestination, after: diagnose.ForwardingDisabled},
		{name: "another port answered lately", s: unanswered(), edit: answered(false, here.Addr(), time.Minute), first: diagnose.ForwardFirewall,
			before: diagnose.NoReplyFromDestination, after: diagnose.DisallowedSource},
		{name: "answered another source", s: unanswered(), edit: answered(true, endpoint.Addr(), time.Minute), first: diagnose.DisallowedSource,
			before: diagnose.ForwardFirewall, after: diagnose.ForwardingDisabled},
		{name: "answered long ago", s: unanswered(), edit: answered(true, here.Addr(), time.Hour), first: diagnose.DisallowedSource,
			before: diagnose.ForwardingDisabled, after: diagnose.ForwardFirewall},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.edit(test.s)
			v, _ := test.s.judge()
			at := func(c diagnose.Code) int {
				return slices.IndexFunc(v.Candidates, func(o diagnose.Candidate) bool { return o.Code == c })
			}
			if at(test.first) != 0 || at(test.before) > at(test.after) || at(test.before) < 0 {
				t.Errorf("%+v", v.Candidates)
			}
		})
	}
}
