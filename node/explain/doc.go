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
//
// Both also list findings: what package diagnose/finding has to say about the
// configuration on this host. Whether the configuration's name servers answer is
// found out by [Explain] alone, and only where its probe has just been answered
// through the peer that they are behind: a question is traffic, and a silent
// server says something only if the way there is known to be good.
package explain
