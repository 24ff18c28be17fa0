package diagnose

// This file declares the codes of what happens at the far host behind the tunnel: B4 to
// B8.

var declaredBehind = []declaration{
	{Code: DisallowedSource, Class: ClassConfig, Doc: Doc{
		Title: "a peer sends packets whose source is not in its AllowedIPs",
		Meaning: `Packets of the peer arrive and decrypt, and their inner source address is outside the
AllowedIPs that this host has for the peer. WireGuard drops them: AllowedIPs decide which
sources a peer may use, and also where packets to these addresses go.`,
		Wire: `Encrypted data arrives (B3, or A5 for a reply), and nothing leaves the tunnel: B4 or A6
is missing. The sender sees no answer: no-reply.`,
		Alike: []Candidate{
			{NoAllowedIPsMatch, "the sending host's own list lacks the destination"},
			{OverlappingAllowedIPs, "another peer has the prefix, and so this one has lost it"},
			{ReversePathFilter, "the packet leaves the tunnel, and the kernel drops it because of its source"},
		},
		Mend: `Add the source to the peer's AllowedIPs here. Give the whole list, because it replaces the old
one:
  wg set NAME peer KEY allowed-ips PREFIX,PREFIX
Or have the peer send from an address that is allowed: a network behind it must be listed
here, or be translated (SNAT) there. If the peer lacks its tunnel address, it also sends
from another one.`,
	}},
	{Code: ForwardingDisabled, Class: ClassRouting, Doc: Doc{
		Title: "this host does not forward",
		Meaning: `The packet is for another host behind this one, and forwarding is off for its family or
for the interface it arrived on. Or, for a node without an interface, [route] in its
configuration allows nothing.`,
		Wire: `The packet leaves the tunnel (B4) and goes no further: B5 is missing. For a reply it is
B7. The sender gets no answer: no-reply.`,
		Alike: []Candidate{
			{ForwardFirewall, "forwarding is on, and a rule drops the packet"},
			{NoRouteOnward, "forwarding is on, and there is no route"},
			{ReversePathFilter, "the kernel drops the packet because of its source, before the forwarding check"},
		},
		Mend: `Turn it on, also in a file in /etc/sysctl.d for the next boot:
  sysctl -w net.ipv4.ip_forward=1
  sysctl -w net.ipv6.conf.all.forwarding=1
IPv4 also has a switch for each interface; the verdict names it if it is that one.`,
	}},
	{Code: ForwardFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "a firewall drops the packet between the tunnel and its destination",
		Meaning: `On the host at the far end, a rule, a chain's policy or an IPsec policy drops or rejects
the packet between the tunnel and another interface. On the sender, an ICMP
"administratively prohibited" comes back through the tunnel, or "port unreachable" from a
host that is not the destination.`,
		Wire: `The packet leaves the tunnel (B4), and does not leave the host: B5 is missing.`,
		Alike: []Candidate{
			{ForwardingDisabled, "no rule drops it: the host does not forward at all"},
			{ReturnFirewall, "the request passes, and the reply is dropped"},
			{InputFirewall, "the destination is the host itself: the input hook drops it"},
		},
		Mend: `Accept it in the forward hook, before the rule that drops it. The verdict has the
command. In general, on the far host, with the names of its table and chain:
  nft insert rule inet filter forward iifname NAME accept
Docker sets the forward policy to drop: use its chain DOCKER-USER.`,
	}},
	{Code: NoRouteOnward, Class: ClassRouting, Doc: Doc{
		Title: "the far host has no route to the destination",
		Meaning: `The packet has arrived at the host behind the tunnel, and that host has no route for it,
or one that rejects. On the sender, an ICMP "network unreachable" comes back through the
tunnel. The same holds for a host that sends the packet back to the peer that it came from,
because its route leads into the tunnel and that peer's AllowedIPs contain the destination.`,
		Wire: `The packet leaves the tunnel (B4); B5 is missing. Often an ICMP error goes back.`,
		Alike: []Candidate{
			{NeighborUnreachable, "there is a route, and the host on that link does not answer"},
			{ForwardingDisabled, "there is a route, and the host does not forward"},
			{DestNotRouted, "the route is missing on the sending host"},
		},
		Mend: `On that host, look up the destination and add the route that is missing:
  ip route get ADDRESS from SOURCE iif NAME
  ip route add PREFIX via GATEWAY dev INTERFACE
If the destination is behind yet another peer, it must be in that peer's AllowedIPs.`,
	}},
	{Code: TTLExceeded, Class: ClassRouting, Doc: Doc{
		Title: "the packet is forwarded until its TTL is used up",
		Meaning: `Each router decrements a packet's TTL (IPv6: hop limit) and drops the packet at 0. If that
happens to a packet of an ordinary host, routers send it in a loop, usually two whose next
hop is the other, or a rule on the path has set a low TTL. The router that dropped it sent an
ICMP "time exceeded", which came back through the tunnel.`,
		Wire: `The packet leaves the tunnel (B4) and is forwarded; it does not reach the destination.
In a loop, tcpdump on the link shows the same packet again and again with a falling TTL.`,
		Alike: []Candidate{
			{NoRouteOnward, "there is no route, and the ICMP error says \"network unreachable\""},
			{NeighborUnreachable, "the next hop is right, and the last host does not answer"},
			{ForwardFirewall, "a rule rejects the packet, and the ICMP error says \"prohibited\""},
		},
		Mend: `On the host that sent the error, and then on the next hop, look where each sends the packet:
  ip route get ADDRESS
In a loop the two name each other: correct the wrong route. If there is no loop, look for a
rule that changes the TTL:
  nft list ruleset | grep -E 'ttl set|hoplimit set'
  iptables-save | grep -E 'TTL|HL'`,
	}},
	{Code: ReversePathFilter, Class: ClassRouting, Doc: Doc{
		Title: "the kernel drops the packet because of its source address",
		Meaning: `The kernel checks where an answer to the packet would go. With rp_filter = 1 it must be
the interface that the packet arrived on; with 2 any route is enough. The packet fails this
check, or its source is one that packets from outside must not have.`,
		Wire: `The packet is seen in prerouting and not after it. It may be an encrypted one (A3 or B2 is
missing), one that left the tunnel (B5 or A6), or a reply (B7). No ICMP error, no rule.`,
		Alike: []Candidate{
			{ForwardFirewall, "a rule drops it; the trace then names the rule"},
			{ForwardingDisabled, "also lost after prerouting, and its source passes the check"},
			{ReplyLeavesElsewhere, "the same asymmetry, but the packet is accepted and the answer leaves by the wrong interface"},
		},
		Mend: `Best, add a route to the source through the interface that the packet arrives on. Otherwise
relax the check for that interface; the greater of its own value and that of "all" counts:
  sysctl -w net.ipv4.conf.INTERFACE.rp_filter=2
For packets with a firewall mark, net.ipv4.conf.all.src_valid_mark=1 makes the check use it.
This counter shows such drops:
  nstat -az TcpExtIPReversePathFilter`,
	}},
	{Code: SNATMissing, Class: ClassFirewall, Doc: Doc{
		Title: "packets are forwarded with a source that the network behind cannot answer",
		Meaning: `The packet was forwarded with the tunnel's address as its source, and nothing came back.
If the destination's network has no route to the tunnel's addresses, its answers go to
its default gateway and are lost. One host alone cannot prove that, so it is a candidate
unless connection tracking shows it.`,
		Wire: `The request leaves the far host untranslated (B5). The reply does not come back to it:
B6 is missing.`,
		Alike: []Candidate{
			{NoReplyFromDestination, "the destination is down or drops it: tcpdump there shows whether it answers"},
			{NeighborUnreachable, "the destination does not even answer ARP"},
			{ReturnRouteWrong, "the reply does come back to the host and is routed elsewhere"},
		},
		Mend: `Either add a route to the tunnel's prefix through this host, on the network's router or on the
destination:
  ip route add PREFIX via THISHOST
or translate here, so that the destination answers this host:
  nft add rule inet nat postrouting oifname LINK ip saddr PREFIX masquerade`,
	}},
	{Code: ProxyARPMissing, Class: ClassRouting, Doc: Doc{
		Title: "no host answers for the client on the destination's network",
		Meaning: `The client's address is in the destination's own network. So the destination treats it as a
neighbor and asks for its link address (ARP, or NDP for IPv6). This host does not answer for
it, and the reply cannot be sent. Only the missing reply is seen, not the request for the link
address: the verdict is not certain.`,
		Wire: `The request leaves the far host with the client's own address (B5). On the link there are
ARP or neighbor requests for that address without an answer: B6 is missing.`,
		Alike: []Candidate{
			{SNATMissing, "the client's address is not in the destination's network"},
			{NoReplyFromDestination, "the destination is down, or drops it"},
			{NeighborUnreachable, "the destination itself does not answer ARP"},
		},
		Mend: `Let this host answer for the client on the destination's link. IPv4:
  sysctl -w net.ipv4.conf.LINK.proxy_arp=1
IPv6, which needs each address:
  sysctl -w net.ipv6.conf.LINK.proxy_ndp=1
  ip -6 neigh add proxy ADDRESS dev LINK
Or use another network in the tunnel, and add a route to it on the destination.`,
	}},
	{Code: NeighborUnreachable, Class: ClassNetwork, Doc: Doc{
		Title: "the destination does not answer on its link",
		Meaning: `The packet was forwarded, and the next hop or the destination itself does not answer ARP or
neighbor discovery: it is off, on another link, or has another address. On the sender, an ICMP
"host unreachable" comes back through the tunnel. WireGuard on the far host sends the same
error, at once, if it has no peer or no endpoint for the packet. So if the error comes that
early, or from the destination's own address, the verdict is not certain.`,
		Wire: `The packet passes the far host's firewall (B5). On the link there are ARP or neighbor
requests without an answer; the packet itself is not sent. B6 is missing.`,
		Alike: []Candidate{
			{NoReplyFromDestination, "it answers ARP, but not the request"},
			{NoRouteOnward, "there is no route at all"},
		},
		Mend: `On the far host:
  ip neighbour show ADDRESS
Is the destination up, and on that link? If it is behind a router, the route needs that
router as gateway:
  ip route add PREFIX via GATEWAY dev INTERFACE`,
	}},
	{Code: NoReplyFromDestination, Class: ClassNetwork, Doc: Doc{
		Title: "the request was forwarded and no reply came back",
		Meaning: `This is a general code: the packet left the tunnel and this host (or reached the host's
own stack), and no reply was seen. The destination may be down, may drop the request, or its
answer may take another route. The candidates have the check for each.`,
		Wire: `B4 and, for another host, B5 have passed; B6 or B7 is missing. Connection tracking shows
the flow as unreplied.`,
		Alike: []Candidate{
			{SNATMissing, "the destination answers, but its answers do not come here: tcpdump on it shows them leave"},
			{NeighborUnreachable, "the destination does not answer ARP: ip neighbour says FAILED"},
			{ReturnFirewall, "the reply comes back to this host, and is dropped there"},
			{ForwardFirewall, "the request does not leave this host: only if it could not be traced"},
		},
		Mend: `On the destination, check whether the request arrives and an answer leaves:
  tcpdump -ni any host ADDRESS
If no answer leaves, its firewall drops the request, or nothing listens on that port (ss
-tulnp). If an answer leaves, its route back is wrong: see snat-missing. Not every host
answers pings: try the port of a service.`,
	}},
	{Code: ReturnFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "the reply is dropped before it enters the tunnel",
		Meaning: `The destination has answered, and on the host at the far end of the tunnel a rule, a
chain's policy or an IPsec policy drops the reply before it enters the tunnel.`,
		Wire: `The request passes B4 and B5, the reply comes back (B6), and does not enter the tunnel:
B7 is missing.`,
		Alike: []Candidate{
			{ReturnRouteWrong, "no rule drops the reply: it is routed to another interface"},
			{NoReplyFromDestination, "no reply comes back at all"},
			{ReversePathFilter, "the kernel drops the reply because of its source"},
		},
		Mend: `Accept replies in the forward hook (for a service on the host itself, in the output hook),
before the rule that drops them:
  nft insert rule inet filter forward ct state established,related accept
The verdict has the exact command.`,
	}},
	{Code: ReturnRouteWrong, Class: ClassRouting, Doc: Doc{
		Title: "the reply is not routed into the tunnel",
		Meaning: `The reply is at the host at the far end of the tunnel, and that host's route to the
sender leads to another interface, or rejects. The evidence names the route and the rule.`,
		Wire: `The reply comes back (B6) and leaves by another interface, or is dropped by routing: B7
is missing.`,
		Alike: []Candidate{
			{ReturnFirewall, "the route is right, and a rule drops the reply"},
			{DisallowedSource, "the reply enters the tunnel, and the other end refuses its source"},
			{DestNotRouted, "the request is not routed, on the sending host"},
		},
		Mend: `On that host, look up the route to the sender's tunnel address, and route it into the
tunnel:
  ip route get SENDER
  ip route add SENDER dev NAME
If the interface has lost its address or is down, fix that first. wgnode reload NAME
restores all that the configuration states.`,
	}},
}
