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
// rules judge them, and recordings keep them as JSON ([Observations]) so that
// somebody else can judge later. Sentences and commands in them are for people;
// rules decide by the other fields. Where a command may be pasted into a shell, it
// is safe to do so.
//
// Pointers are nil, and values zero, where nobody looked. Values are not changed
// once they were handed on, but by whoever adds up a [KernelEvidence].
package evidence
