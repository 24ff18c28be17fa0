package diagnose

import (
	"slices"

	"github.com/wgnode/wgnode/probe"
)

// Askers are the connections that have asked for something, by the client's port. The
// zero value is none.
type Askers struct{ ports []uint16 }

// askersKept bounds how many connections are remembered; of more than these every one
// may have asked.
const askersKept = 32

// Add remembers a connection.
func (a *Askers) Add(port uint16) {
	if len(a.ports) <= askersKept && !slices.Contains(a.ports, port) {
		a.ports = append(a.ports, port)
	}
}

// Has reports whether a connection may have asked.
func (a *Askers) Has(port uint16) bool {
	return len(a.ports) > askersKept || slices.Contains(a.ports, port)
}

// Reset forgets all.
func (a *Askers) Reset() { a.ports = a.ports[:0] }

// Answers tells answers of TCP from what a connection repeats that is older than what
// may be wrong: a server sends once more what was not acknowledged, and the client
// acknowledges it, though neither the one nor the other comes through.
type Answers struct {
	askers Askers
	any    bool  // one of them was answered
	last   int64 // the latest slot in which something of TCP came back,
	slots  int   // and in how many something did
}

const (
	// slot is a span in nanoseconds, and steadySlots in how many of them something must
	// come back for a connection to be alive that is not seen to ask, as a long download.
	// What goes unacknowledged is repeated after 0.2 s at the soonest, and then after
	// twice as long each time (RFC 6298, and TCP_RTO_MIN of Linux): nine times in 50 s.
	slot        = int64(100e6)
	steadySlots = 10
)

// Add takes an inner packet of TCP into account.
func (a *Answers) Add(e *probe.Event, forth bool) {
	switch {
	case forth && e.Asks():
		a.askers.Add(e.InnerSrcPort)
	case !forth && e.TCPFlags()&probe.TCPRst == 0:
		a.any = a.any || a.askers.Has(e.InnerDstPort)
		if at := e.Time / slot; at != a.last {
			a.last = at
			a.slots++
		}
	}
}

// Given reports whether what has come back is an answer: all is that is not of TCP.
func (a *Answers) Given() bool { return a.slots == 0 || a.any || a.slots >= steadySlots }
