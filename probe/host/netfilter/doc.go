// Package netfilter tells what the kernel's packet filter did with the packets
// of one flow: which chains and rules they met, which of them dropped them, and
// how they were translated.
//
// # Tracing
//
// A [Tracer] puts a table of its own around everybody else's chains. Chains at
// the very front of prerouting and output mark the packets of the flow for
// tracing, which the kernel then does in every table, those of iptables-nft
// included. Empty chains at the very end of input and postrouting are gates: a
// packet that is seen there has passed all chains.
//
//	                        ┌────> input   │ gate ──> application
//	front │ prerouting ── routing
//	                        └────> forward ─┐
//	front │ output ─────────────────────────┴─> postrouting │ gate ──> wire
//
// What one packet met is a [Packet]. It is made of visits to base chains, and
// each of these has the packet's headers as they were there, so that a
// translation shows as a change, and the steps that the packet took. The
// kernel reports the rules that matched and what ended a chain. [Packet.Fate]
// sums up: a packet that is dropped is blamed on exactly the rule, or policy,
// that gave the verdict, whatever later rules would have done. A packet that no
// rule dropped, and that yet comes to no gate, was lost to routing, or to another
// part of the kernel between two hooks.
//
// Where somebody has chains at the ingress or egress of a device, or for bridges, there
// are fronts there, too. A packet that ends at such a hook, before prerouting or behind
// postrouting, is told of as one that was dropped there; one that passes is not
// told of again. On their way out packets are selected there as they are by then, that
// is translated.
//
// # What it costs
//
// While a Tracer is open, every packet of the host passes a front or a gate in
// most hooks, and the kernel readies each chain for tracing. On a virtual
// machine that made 0.25 to 0.3 µs for a packet's way out, and as much for its
// way in. A traced packet costs some events of about 1 KiB more: a busy flow
// wants a [Match.Rate], or a [Match.Payload] that tells the packets in question.
//
// # Nothing stays behind
//
// The table belongs to the Tracer's netlink socket (flag owner, Linux 5.12), so
// that the kernel removes it when the process ends, SIGKILL included. It can
// not be changed or flushed by others meanwhile. On older kernels the table's
// name tells whose it is, and [Sweep] removes those of the dead.
//
// # What it cannot see
//
// Chains of legacy iptables ([Ruleset.Legacy]), eBPF programs, classifiers of
// tc(8), what the egress of a device or a bridge does to a packet whose translation makes it
// another than is selected, and packets of flows that a flowtable has taken over
// ([Ruleset.Flowtables]). A rule that forges a reply and drops the packet
// (reject) gives the verdict drop; [Rule.Reject] tells it.
//
// Functions that open a connection to the kernel work in the network namespace
// of the calling thread; a Tracer stays in the one that it was started in, but
// for the programs that [Tracer.Rule] runs to get the text of rules.
package netfilter
