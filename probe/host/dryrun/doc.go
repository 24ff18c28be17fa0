// Package dryrun says what this host's nftables would do with a packet that is not sent.
//
// A fix is worth printing only if it mends: where one rule drops a packet, another may drop
// it a hook further on, or drop the answer. So before a command is shown that lets a packet
// pass one chain, the chains after it are run with nothing sent, and those that the answer
// will meet: [Rules.Run] goes through the base chains of a hook as the kernel does, with the
// kernel's own expressions (nf_tables, and the matches of iptables that are common).
//
// What cannot be known is not guessed. An expression that depends on more than the packet's
// headers, the links and connection tracking's state, such as a limit, or a match of
// iptables that is not known here, may be true or not; so may what a rule reads that the
// [Packet] does not say. Where the end depends on that it is [Unknown], with the rule that
// decides. Legacy iptables and hooks of single devices are not looked at.
//
// Nothing is changed in the kernel, and nothing sent.
package dryrun
