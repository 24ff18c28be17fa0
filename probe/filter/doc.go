// Package filter is the language in which "wgnode watch" is told which events
// to show. A filter is a list of words, in the spirit of tcpdump:
//
//	wgnode watch wg0 peer alice tcp port 80,443
//	wgnode watch wg0 dropped not reason replayed
//	wgnode watch wg0 src net 10.0.0.0/8 out
//
// # Terms
//
// A term is a key and a value:
//
//	peer NAME          the peer of that name, or public key, or the beginning
//	                   of its public key (4 characters or more)
//	checkpoint A4      A1 to A6, B1 to B8
//	seam tun-read      tun-read, tun-write, udp-send, udp-receive, device
//	direction in       in: out of the tunnel, towards this host;
//	                   out: into the tunnel
//	kind data          inner, initiation, response, cookie, data, keepalive,
//	                   other, endpoint, icmp-error, network; handshake stands for
//	                   initiation, response and cookie
//	verdict dropped    passed, dropped
//	reason no-endpoint why a packet was dropped
//	proto tcp          protocol of the inner packet: tcp, udp, icmp, icmp6,
//	                   igmp, gre, esp, ah, sctp, or a number
//	host 10.0.0.1      inner source or destination
//	net 10.0.0.0/8     the same, by prefix
//	port 443           inner TCP or UDP port, or a range: port 1000-2000
//
// Before host, net and port, src and dst choose one of the two ends; with an
// address they do without host and net: "src 10.0.0.1". Before that, outer
// means the addresses and ports of the UDP datagrams between the nodes: "outer
// port 51820", "outer dst host 203.0.113.2". Of a change of endpoint, outer
// src is the old one and outer dst the new; of an ICMP error, outer src is who
// sent it and outer dst the endpoint that it is about.
//
// A value may be a list: "port 80,443".
//
// Every name above except that of a peer may stand alone, without its key:
// "tcp", "dropped", "in", "A4", "handshake", "no-endpoint". So may an address,
// which means host, and a prefix, which means net.
//
// A filter of what the kernel drops ([Drops]) has the same terms, but for checkpoint, seam,
// direction and verdict, and reason there is the kernel's: "reason TC_EGRESS".
// A filter of both ([Split]) has the reasons of both; what the kernel drops is at no checkpoint and
// seam, and its verdict is dropped.
//
// # Putting terms together
//
// Terms of different keys must all match. Terms of the same key are
// alternatives, as are the values of a list: "tcp udp port 53" is DNS over
// either. Here "src port" is another key than "port", and "host" another than
// "net". The word not before a term excludes what the term matches: "not port
// 22 not icmp" is everything but these. A term does not match an event that
// lacks what it asks about, and not turns this round: handshakes have no inner
// port, so "port 80" hides them and "not port 80" shows them.
//
// A filter given as one argument is split at white space; a peer's name that
// contains white space is then put in double quotes, as in a Go string. An
// argument of its own after the word peer needs no quotes. A peer whose name
// contains a comma is given by its key.
package filter
