// Package transit passes on what a tunnel's peers send to hosts beyond the node,
// by ordinary sockets of this host, so that it takes no privileges: connections of
// TCP, datagrams of UDP, and ICMP echo. To the hosts it is this host that speaks to
// them.
//
// Only what a list of rules allows may pass, and an empty list allows nothing. What
// the network says goes back to the peer as it was said: a refused connection is
// refused, since a connection is accepted only when the far side has accepted one;
// an unreachable host or network is an ICMP error, and so is what the rules do not
// allow; the end of one direction, resets and silence are passed on as they are.
//
// Each packet that a flow's socket is given, and each that it gives, is an event at
// the checkpoints B5 and B6.
package transit
