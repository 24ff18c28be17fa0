// Package merge puts the recordings of several hosts together: what one host
// cannot know of a packet, two can.
//
// # The same packet on two hosts
//
// Whatever NAT does to addresses, a WireGuard message says in clear what it is:
// a data message by its receiver index and counter, a handshake message by its
// indices. A message that one host sent and another received under the same
// numbers is the same message. What was sent and not received was lost on the
// way, unless the other recording cannot say: it had not begun, had ended, was
// filtered, or had itself lost events there. That is counted apart, as unknown.
//
// # Clocks
//
// Each recording has the clock of its host. A message cannot arrive before it was
// sent, so every message from A to B is an upper bound of the offset of B's clock
// from A's, and every message back a lower one. All lines, of one offset and one
// rate, that lie between the bounds are possible, and the results are intervals.
//
// # Two passes
//
// The first pass takes a sample of each recording, the same messages of each, and
// finds how the clocks lie to each other. The second reads all recordings side by
// side in the order of the aligned times and joins messages. It keeps what is
// younger than a window, and of flows and lost messages a fixed number, so that
// memory does not grow with the length of the recordings.
//
// # Flows
//
// The packets of one client to one service are one [Flow], whatever the client's
// ports. A flow between peers of a hub has two hops: on the first the hub is B, on
// the second A. The verdict is that of package diagnose, from the evidence of both
// sides.
//
// The package reads files and does no other I/O. Merges do not share anything, so that
// several may run concurrently.
package merge
