package diagnose

import (
	"slices"

	"github.com/wgnode/wgnode/probe"
)

// answers tells answers of TCP from what a connection repeats that is older than what
// may be wrong: a server sends once more what was not acknowledged, and the client
// acknowledges it, though neither the one nor the other comes through.
type answers struct {
	askers []uint16 // the clients' ports of which a request was seen
	any    bool     // one of them was answered
	last   int64    // the latest slot in which something came back,
	slots  int      // and in how many something did
}

const (
	// askersKept bounds how many connections are remembered that have asked; of more
	// than these every one may have.
	askersKept = 32
	// slot is a span in nanoseconds, and steadySlots in how many of them something must
	// come back for a connection to be alive that is not seen to ask, as a long download.
	// What goes unacknowledged is repeated after 0.2 s at the soonest, and then after
	// twice as long each time (RFC 6298, and TCP_RTO_MIN of Linux): nine times in 50 s.
	slot        = int64(100e6)
	steadySlots = 10
)

// add takes an inner packet of TCP into account.
func (a *answers) add(e *probe.Event, forth bool) {
	switch {
	case forth && asks(e):
		if len(a.askers) <= askersKept && !slices.Contains(a.askers, e.InnerSrcPort) {
			a.askers = append(a.askers, e.InnerSrcPort)
		}
	case !forth && e.Info&probe.TCPRst == 0:
		a.any = a.any || len(a.askers) > askersKept || slices.Contains(a.askers, e.InnerDstPort)
		if at := e.Time / slot; at != a.last {
			a.last = at
			a.slots++
		}
	}
}

// given reports whether an answer has come.
func (a *answers) given() bool { return a.any || a.slots >= steadySlots }

// asks reports whether a packet of TCP wants more than it acknowledges: it opens a
// connection or has content.
func asks(e *probe.Event) bool {
	headers := uint16(20 + 60) // at most
	if e.InnerSrc.Netip().Is6() {
		headers = 40 + 60
	}
	return e.Info&probe.TCPRst == 0 && (e.Info&(probe.TCPSyn|probe.TCPPsh) != 0 || e.InnerLen > headers)
}
