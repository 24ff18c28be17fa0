// Package guard keeps what protects a host as it was set: the tables of a node's firewall.
//
// While the node lives, [Tables] puts them back when another program has changed them, and [LAN]
// keeps a kill switch open to the networks that the host is in.
//
// A guardian is a process that guards the kill switch when the node has died. It
// sleeps until then, at the other end of a pipe: the kernel closes that whatever
// becomes of the node. It is known by the journal, so whoever undoes what the
// node has left, or takes it over, ends it. [Guardian] is the node's side, [Run] all that the process does.
package guard
