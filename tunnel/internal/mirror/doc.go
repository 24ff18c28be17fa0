// Package mirror is what the device believes: its peers and their endpoints, where
// cryptokey routing sends an address, whose a session's index is, and who this node is.
//
// The device tells little of that, and nothing at the speed of packets. So a [Mirror]
// has it once more, in forms that a seam can read for every packet without a lock:
//
//   - [Peers] by ID, key, or the pointer that the device's log names them by. A [Peer]
//     has the counters of its packets, a [Way] for each direction, and what is known of
//     its endpoint ([Place]) and of its handshakes ([Handshake]).
//   - [AllowedIPs], with a [RouteCache] for each goroutine that looks up much.
//   - [Sessions], one table for indices of ours and one for those of peers.
//   - [Clock], at the cost of the monotonic clock alone.
//
// # What keeps it true
//
// A [Keeper] gives the device every change of its configuration, and has the mirror
// follow it line by line. What it cannot follow, or the device refuses, it reads back
// from the device. Endpoints and indices change by messages: who sees these at a seam
// says so ([Mirror.EndpointSeen], [Sessions.Add]).
package mirror
