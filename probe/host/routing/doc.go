// Package routing explains which way this host sends a packet, and why.
//
// The kernel answers `ip route get` with a route, not with the reason for it.
// This package finds the reason: it reads what the kernel decides by, decides
// again in the same manner, and writes down each step.
//
//	Take     one dump of rules, routes, links, neighbours, sysctls: a Snapshot
//	Walk     each rule in its order: why it matches or not, what its table says
//	Verify   the kernel's own answer for the same packet, compared
//
// [Explain] does all three, [ExplainAll] for many packets at once. Where the answer alone is
// wanted, without its reason, a [Session] asks the kernel for it.
//
// # How a way is chosen
//
// Rules are tried from the least priority on. A rule whose selectors (source,
// mark, ingress interface, ...) apply leads into a table, or rejects the packet
// itself. The table gives the route with the longest prefix, and among those the
// one with the least metric. If it gives none, or one of type throw, or one that
// the rule suppresses, the next rule is tried. A route of type blackhole,
// unreachable or prohibit ends the search, suppressed or not: a rule suppresses
// only what would have led somewhere.
//
// A packet of this host's own has no ingress interface; rules with `iif lo` apply
// to it. A forwarded one has ([Flow].IIF), and belongs to user 0.
//
// # What is claimed
//
// A [Walk] is right only as far as the package knows what the kernel does. Where
// that ends, Walk.Doubt says so. [Snapshot.Verify] then settles it: if the kernel
// decides otherwise its decision counts, and the walk names no rule for it.
//
// Where the kernel chooses among several next hops, by a hash that nobody else
// can compute, Decision.Hops lists them.
//
// # Beside the way itself
//
// [Snapshot.SourceCheck] says whether rp_filter or another check of the source
// drops a packet, [Snapshot.Forwarding] whether the host forwards at all,
// [Snapshot.Neighbor] whether the next hop answers on the link, and
// [Snapshot.AddrType] whether an address is the host's own.
//
// Rules, routes and neighbours are written as ip(8) writes them.
//
// Take, Verify, Explain, List and sessions work in the network namespace of the calling thread,
// which must not be left meanwhile, and change nothing there. All else is pure:
// a Snapshot is never written to after Take, so that many goroutines may use it.
package routing
