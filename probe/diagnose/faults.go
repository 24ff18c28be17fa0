package diagnose

import (
	"slices"

	"github.com/wgnode/wgnode/probe/fix"
)

// Fault is one thing that a [DoctorReport] finds wrong: a peer's verdict, or a finding that is
// failing.
type Fault struct {
	Code    Code
	Peer    string // its key in base64, "" of none in particular
	Summary string
	Fix     fix.Steps
	Certain bool
}

// Faults are what makes a report one of a fault. Of two that have the same fix one is enough.
func (r *DoctorReport) Faults() []Fault {
	var all []Fault
	add := func(f Fault) {
		if !slices.ContainsFunc(all, func(o Fault) bool { return slices.Equal(o.Fix, f.Fix) }) {
			all = append(all, f)
		}
	}
	for i := range r.Peers {
		p := &r.Peers[i]
		if v := &p.Verdict; !v.Healthy() && v.Code != Idle {
			add(Fault{Code: v.Code, Peer: p.Peer, Summary: v.Summary, Fix: v.Fix, Certain: v.Certain})
		}
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Failing && len(f.Fix) > 0 {
			of := ""
			if !f.Peer.IsZero() {
				of = f.Peer.String()
			}
			add(Fault{Code: f.Code, Peer: of, Summary: f.Summary, Fix: f.Fix, Certain: true})
		}
	}
	return all
}
