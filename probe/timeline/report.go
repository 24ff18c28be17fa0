package timeline

import (
	"time"

	"github.com/wgnode/wgnode/probe/schema"
)

// Report is what became of a tunnel's peers in a time: the answer of "wgnode history". Its JSON form
// is a public contract; keys may be added, none is renamed.
type Report struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	Since     time.Time      `json:"since"`
	Until     time.Time      `json:"until"`
	// Begin is since when anything is known, zero if nothing is.
	Begin time.Time `json:"begin,omitzero"`
	// Damaged is how many lines of the history could not be read.
	Damaged int    `json:"damaged,omitempty"`
	Peers   []Peer `json:"peers"`
}

// Report makes the report of a tunnel since a time, up to now.
func (all *Lines) Report(name string, since, now time.Time) *Report {
	r := &Report{Interface: name, Since: since, Until: now, Damaged: all.Damaged, Peers: []Peer{}}
	peers, begin := all.Timeline(since, now)
	r.Peers, r.Begin = append(r.Peers, peers...), begin
	return r
}
