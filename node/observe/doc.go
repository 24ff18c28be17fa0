// Package observe watches what happens to packets on this host, so that it can be
// explained.
//
//	recorder ──┐
//	netfilter ─┼─> Session ── Add ──> Policy
//	counters ──┤      <───── Look ──────┘
//	attempt  ──┘
//
// A [Source] delivers observations: the tunnel's events, the traversals of packets
// through netfilter, what the kernel drops and what it counts of that, what is on the way and
// may drop packets unseen, the initiations that come in, how the sending of a probe ended. A
// [Session] owns the sources and has the only loop that selects among them. What is to be
// observed, what an observation means, and when there are enough
// of them is up to a [Policy]: packages explain and trace have one for each question
// that they answer.
//
// # When a session ends
//
// After each observation, and every so often when there is none, the policy is
// asked how far it is. If it is Open the session goes on. If it is Settled more
// observations may add details, but change nothing: the session goes on for a
// while, the linger, for what has yet to happen. If it is Complete nothing more is awaited.
//
// It is Complete also where nothing that has yet to happen can change what the policy has found.
//
// Sources do not report at the same time, however, and what one of them has yet to say of the
// very packet may tell more, or something else. So before a session ends all sources that are
// late by nature, each a [Syncer], deliver what has happened up to then, and the policy is
// asked once more. The session ends at its deadline whatever the policy says.
//
// # A new source
//
// A source of this host's kernel is one file here, and one line in the list
// registered in host.go: each policy that watches the kernel starts all of them.
// If what it observes does not fit in [Observation] yet, it adds a field there, which
// Session.hand puts into the evidence of the session.
package observe
