// Package evidence says what a host observed of packets outside of its tunnel:
// what its packet filter, its routing tables, IPsec and connection tracking did
// with them. The tunnel's own events are [probe.Event]; the two together are what
// a verdict or a walk rests on.
//
// A packet crosses this host's kernel twice, once as an inner packet and once
// encrypted, in each direction. Each crossing is on a [Segment], and what was seen
// of it is a [Traversal]:
//
//	          ToTunnel               ToWire
//	program ───────────> tunnel ─────────────> network
//	        <───────────        <─────────────
//	         FromTunnel             FromWire
//
// All types are plain data without I/O: an observer on a live host fills them in,
// rules judge them, and recordings keep them as JSON ([Observations]) so that they
// can be judged later, on another host. Sentences and commands in them are for
// people; rules decide by the other fields. Commands are safe to paste into a shell.
//
// What verdicts quote of it are Lines, and each says how it is [Known].
//
// A pointer is nil, and a value zero, where nothing was looked up. Only the observer
// that adds up a [KernelEvidence] changes it; all others read. None of the types may
// be changed and read at the same time.
package evidence
