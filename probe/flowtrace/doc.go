// Package flowtrace makes spans of OpenTelemetry of the events of one tunnel, so that the spans of all
// hosts that a flow passes are one trace, though no host asks another. It does no I/O.
//
// # What a trace is
//
// A trace is the way of a flow's first packet, the opening, and of what answers it. (A connection that
// sends its SYN again has another opening, and another trace, with a link to the one before: what was
// lost is seen by itself.) Its spans are the stretches between checkpoints:
//
//	flow                      this host, A1 to A6
//	├ A1-A4                   until it is sent; with the handshake that it waited for
//	├ wire                    until the answer is received
//	│ └ B3-B8                 the other host
//	│   ├ B3-B4               until it leaves the tunnel
//	│   ├ B4-B7               outside of the tunnel: the host, or what is behind it
//	│   │ └ flow              on a hub: to the next host, and so on
//	│   └ B7-B8               the answer, until it is sent
//	└ A5-A6                   the answer, until it leaves the tunnel
//
// # Who knows what
//
// Two hosts share the message between them: receiver index and counter, which nobody changes on the
// way. So the span "wire" has an id made of these, and the receiver's span has that parent: always
// right, whatever the trace is called. But a hub sends the packet on in another message, and the third
// host has never seen the first one. What all three see is the packet inside. So the trace is named
// after that, where it is enough to tell it from every other packet:
//
//   - of a connection, the initial sequence number and the timestamp of its SYN: 64 bits that hosts
//     draw (RFC 6528, RFC 7323), which no address translation changes. Addresses are no part of it, so
//     that a hub may translate them, and so that nothing can be learned from the id.
//   - of an echo, addresses, identifier and sequence number. From the hash of these somebody could
//     find them by trying, so that they are used only where addresses are sent anyway.
//   - of everything else, and of a SYN without timestamps, whose 32 bits are too few among many
//     flows, only the message is sure: with the public keys of both ends, since two sessions anywhere
//     may have one index. Over a hub that makes a trace for each tunnel, and the hub, which has seen
//     both messages, links each to the other.
//
// Two flows that look the same to a host (a scanner's SYNs, or forged ones) are told apart by their
// messages, too: a flow that is in two traces is a nuisance, and two in one trace a lie.
//
// A flow that had begun before the tracer did has no opening, and is not traced.
//
// # What is kept
//
// The threshold is compared with the id, which is a hash, so that every host keeps the same traces.
// What was dropped, refused or not answered is kept by every host that sees it, up to a number a
// second. Silence is a fault of a connection and of an echo only: a datagram need not be answered. If
// events were missed meanwhile, what became of a flow is not known, and no fault is made of it.
//
// # Clocks
//
// Times are of the host that made the span. The wire's two ends hold the receiver's span between them,
// so that a trace itself says how far the clocks can differ: the receiver's is ahead by no less than
// B8 minus A5, and by no more than B3 minus A4. A host that was sent an initiation knows by the time that
// it states how far its own clock is ahead at most, also of a trace of which the other half is missing.
package flowtrace
