// Package flows makes flows of events, live or from a recording: which are there, how far the
// packets of each have come on the ladder of checkpoints, what was dropped and why, and how
// much passed when. It does no I/O.
//
// A [Table] takes the events of one tunnel. Events may be of one packet of so many only
// ([Options.Every]); then what it counts of packets are estimates. All that grows by what
// others send has a bound: of flows the one that is silent longest goes.
//
// A [Log] keeps the events of a recording, so that it can be looked at as of any time in it,
// and a [TimeLine] says when there was how much of them.
package flows
