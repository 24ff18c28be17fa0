// Package conntrack reads the kernel's connection tracking table: which flows
// it knows, whether they were answered, and how they are translated.
//
// An [Entry] has the addresses of a flow as its first packet came, and those
// that its replies have. Where these are not each other's reverse the flow is
// translated, and the difference says to what: SNAT and DNAT are read, not
// guessed. See [Entry.SNAT] and [Entry.DNAT].
//
// A flow without an entry proves little. In a network namespace the kernel
// tracks connections only while some rule needs it, forgets them when they are
// idle for a while, and enters a connection only when its first packet has
// passed all chains.
//
// The package speaks ctnetlink itself (linux/netfilter/nfnetlink_conntrack.h);
// it only looks. All functions work in the network namespace of the calling
// thread.
package conntrack
