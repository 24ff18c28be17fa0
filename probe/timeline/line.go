// Package timeline makes periods of a history: for how long each peer of a tunnel was in which state,
// and why, from lines that were written as it changed.
//
//	lines, in the order in which they were written ── Timeline ──> Peers, each with its Periods
//
// A process that was killed wrote no end. The state that lasted then ends with the start of the
// next node at the latest, and its period says that it was cut short. The package does no I/O:
// node/history writes and reads the lines.
package timeline

import (
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// Version is that of the format. A reader takes what it knows of a line, and leaves out lines whose
// What it does not know.
const Version = 1

// What says what a [Line] is about.
type What string

// What there is to say. The texts are written to files and never change.
const (
	// Started: a node came up. What follows is said anew.
	Started What = "start"
	// Changed: a peer is in another state, or in the same one for another reason.
	Changed What = "peer"
	// Removed: a peer is no longer configured.
	Removed What = "removed"
	// Stopped: the node went down, and no state lasts.
	Stopped What = "stop"
	// Continued: an older file has the lines before; those that follow say what lasts.
	Continued What = "continued"
)

// Line is one line of a history file. Its JSON form is a format: keys are added, none is renamed.
type Line struct {
	At      time.Time `json:"at"`
	What    What      `json:"what"`
	Version int       `json:"version,omitempty"` // of Started and Continued
	PID     int       `json:"pid,omitempty"`     // of Started

	Peer key.Public `json:"peer,omitzero"`
	Name string     `json:"name,omitempty"`
	// State and what follows are the peer's from At on.
	State      diagnose.State `json:"state,omitempty"`
	Code       diagnose.Code  `json:"code,omitempty"`
	Checkpoint string         `json:"checkpoint,omitempty"`
	Certain    bool           `json:"certain,omitempty"`
	Summary    string         `json:"summary,omitempty"`
}

// Says reports whether two lines about one peer say the same. Numbers in the summary, such as for
// how long nothing came, are no news.
func (l *Line) Says(o *Line) bool {
	return l.State == o.State && l.Code == o.Code && l.Checkpoint == o.Checkpoint && l.Certain == o.Certain && l.Name == o.Name
}

// Lines are those of a tunnel's history, oldest first.
type Lines struct {
	Lines []Line
	// Damaged is how many lines could not be read: the disk was full, or somebody has edited them.
	Damaged int
}
