// Package legs tells how long probes took on each leg of their way, and where they were
// lost: from when a socket sent and received them, and the events of the tunnel between.
//
// A probe is bound to its own packet: by the identifier and the sequence number of an ICMP
// echo, or the source port that it alone has. Time binds nothing. What a checkpoint saw first
// of a probe counts; what comes again is counted apart.
//
// Of one host all times are of one clock. Between two hosts the messages themselves bound how
// the clocks lie ([merge.Bounds]); a leg from one to the other has the middle of what that
// leaves possible, and says how far it may be off ([Leg.Open]).
//
// [merge.Bounds]: https://pkg.go.dev/github.com/wgnode/wgnode/probe/merge#Bounds
package legs
