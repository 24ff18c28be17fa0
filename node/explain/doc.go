// Package explain finds out what becomes of a flow, or how the peers of a node
// fare: it gathers the facts that package diagnose judges.
//
// [Explain] watches the node's events while a probe (or, passively, somebody
// else's packet) passes, and asks the kernel for the routes. It judges after
// every event, and stops as soon as the verdict is settled. Where data leaves
// and nothing comes back it asks the peer for a fresh handshake: the answer, or
// its absence, tells a dead path from trouble behind the peer.
//
// [Doctor] sends nothing of its own. It reads what the flight recorder holds.
package explain
