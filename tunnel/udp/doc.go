// Package udp carries encrypted packets between this host and its peers, and
// says what the network answered.
//
// A [Bind] is what the WireGuard device calls a conn.Bind: one UDP socket for
// IPv4 and one for IPv6 on the same port, from which it reads and to which it
// writes packets in batches. It does what wireguard-go's own StdNetBind does,
// and two things more.
//
// # The error queue
//
// A router that cannot deliver a datagram says so with an ICMP message. A UDP
// socket that is not connected never hears of it, unless it asks (IP_RECVERR,
// see ip(7)); then the kernel keeps each message, with the address of who sent
// it, in a queue beside the packets. The Bind reads that queue and hands each
// entry to [Options.OnICMP]: "port closed", "host unreachable" and
// "administratively prohibited" become facts, where there was only silence.
//
// The price is that the kernel also announces each entry by failing whichever
// call comes next, even when that call has nothing to do with the datagram in
// question:
//
//	send to A ......................... ok
//	               <- ICMP about A (queued, and pending on the socket)
//	send to B ......................... ECONNREFUSED, and nothing was sent
//	receive ........................... or here, and nothing was received
//
// The Bind never lets such a pending error out. It empties the queue and does
// the call again. An error that Send returns is about the packets it was
// called with.
//
// # Sticky sources
//
// On a host with several addresses, a reply must leave from the address that
// the packet came to, or the peer's NAT will not let it in. So an [Endpoint]
// that was learned from a packet remembers which of our addresses and
// interfaces it came to (IP_PKTINFO, IPV6_RECVPKTINFO), and Send asks for that
// source. Such knowledge ages: the Bind listens to the kernel's announcements
// of changed links, addresses, routes and rules (rtnetlink(7)), and after any
// of them lets the kernel choose again, until the next packet teaches a new
// source.
//
// # Cost
//
// Packets that go to one peer leave in few system calls and as few passes
// through the network stack: equal-sized ones become one datagram that the
// kernel or the card cuts up (UDP_SEGMENT), and the reverse on receive
// (UDP_GRO, see udp(7)). No packet costs an allocation, and few are copied: what
// is sent is gathered by the kernel from where it lies, and what is received is
// scattered over the device's buffers, by a guess at the size of what comes next.
//
// Where joined packets cannot be sent they go one by one. That an interface
// refuses them is remembered of that interface, until the host's network changes;
// that they are longer than a path takes, for the one call only.
//
// The ECN bits of the outer header are left alone in both directions, as
// wireguard-go's own Bind leaves them.
//
// Systems other than Linux get wireguard-go's Bind as it is, without OnICMP.
package udp
