// Package explain finds out what becomes of a flow, or how the peers of a node
// fare: it gathers the facts that the rules below package diagnose judge, as a
// policy of a session of package observe.
//
// [Explain] observes the tunnel's events and this host's kernel while a probe (or,
// passively, another program's packet) passes, and looks up the routes. It judges
// after every observation, and stops as soon as the verdict is settled. Where data
// leaves and nothing comes back it asks the peer for a fresh handshake: the answer,
// or its absence, is what distinguishes a dead path from trouble behind the peer.
//
// [Doctor] sends nothing unless it is asked to. It reads what the flight recorder
// holds, and observes the messages of all peers for as long as the request says.
//
// An [Observer] finds out beside a recording what its events do not say, so that
// others can judge later. [ExplainRecording] and [DoctorRecording] are such others.
//
// Explain and Doctor also list findings: what package diagnose/finding has to say about the
// configuration on this host. Whether the configuration's name servers answer is
// found out by [Explain] alone, and only where its probe has just been answered
// through the peer that they are behind: a question is traffic, and a silent
// server says something only if the way there is known to be good.
package explain
