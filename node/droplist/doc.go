// Package droplist lists what the kernel drops of one tunnel's packets: a [Row] for each
// reason and place, how many, and the latest.
//
//	drops.Watcher ── reports ──> List ── rows ──> Taker
//	              ── counts, each second ──┘
//
// Whose packet it is the program in the kernel decides (drops.Tunnel), so that what is not
// the tunnel's costs little. That program counts all and reports some of a flood: a row's
// count is the kernel's. With a filter, which looks at the headers of what is reported, it
// is the number of reports that match, and said to be the least where there were more.
//
// The list is made in the process that asks for it. When that ends, however it ends, the
// kernel removes the program.
package droplist
