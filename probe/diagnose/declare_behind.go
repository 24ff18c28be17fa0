package diagnose

// This file declares the codes of what happens at the far host behind the tunnel: B4 to
// B8.

var declaredBehind = []declaration{
	{Code: DisallowedSource, Class: ClassConfig, Doc: Doc{
		Title: "a peer sends packets whose source is not in its AllowedIPs",
		Meaning: `Packets of the peer arrive and decrypt, and their inner source address is outside the
AllowedIPs that this host has for the peer. WireGuard drops them: AllowedIPs say who may
send from an address as well as where packets for it go.`,
		Wire: `Encrypted data arrives (B3, or A5 for a reply), and nothing leaves the tunnel: B4 or A6
is missing. The sender sees no answer: no-reply.`,
		Alike: []Candidate{
			{NoAllowedIPsMatch, "the sending host's own list lacks the destination"},
			{OverlappingAllowedIPs, "another peer has the prefix, so that this one has lost it"},
			{ReversePathFilter, "the packet leaves the tunnel, and the kernel drops it because of its source"},
		},
		Mend: `Add the source to the peer's AllowedIPs here (the whole list, because it replaces the old
one):
  wg set NAME peer KEY allowed-ips PREFIX,PREFIX
Or have the peer send from an address that is allowed: a network behind it must be listed
here, or be translated (SNAT) there. A missing tunnel address on the peer also makes it
send from another one.`,
	}},
	{Code: ForwardingDisabled, Class: ClassRouting, Doc: Doc{
		Title: "this host does not forward",
		Meaning: `The packet is for another host behind this one, and forwarding is off for its family or
for the interface it came in on; or, for a node without an interface, [route] in its
configuration allows nothing.`,
		Wire: `The packet leaves the tunnel (B4) and goes no further: B5 is missing. For a reply it is
B7. The sender gets no answer: no-reply.`,
		Alike: []Candidate{
			{ForwardFirewall, "forwarding is on, and a rule drops the packet"},
			{NoRouteOnward, "forwarding is on, and there is no route"},
			{ReversePathFilter, "the kernel drops the packet because of its source, before forwarding is asked"},
		},
		Mend: `Turn it on, and keep it on in a file in /etc/sysctl.d:
  sysctl -w net.ipv4.ip_forward=1
  sysctl -w net.ipv6.conf.all.forwarding=1
IPv4 also has a switch for each interface; the verdict names it if it is that one.`,
	}},
	{Code: ForwardFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "a firewall drops the packet between the tunnel and its destination",
		Meaning: `On the host at the far end, a rule, a chain's policy or an IPsec policy drops or rejects
the packet on its way from the tunnel to another interface. Seen from the sender it is an
ICMP "administratively prohibited" that came back through the tunnel, or "port
unreachable" from a host that is not the destination.`,
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
or one that rejects. Seen from the sender it is an ICMP "network unreachable" that came
back through the tunnel. A host that sends the packet back to the peer that it came from,
because its route leads into the tunnel and that peer's AllowedIPs hold the destination, has
none either.`,
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
		Meaning: `Each router takes one from a packet's TTL (IPv6: hop limit) and drops it at 0. That a
packet of an ordinary host gets that far means that routers send it in circles, as a rule
two that each take the other for the next hop, or that a rule on the path has set the TTL
to almost nothing. The router that dropped it says so by an ICMP "time exceeded" that came
back through the tunnel.`,
		Wire: `The packet leaves the tunnel (B4) and is forwarded; the destination does not get it.
In a loop, tcpdump on the link shows the same packet again and again with a falling TTL.`,
		Alike: []Candidate{
			{NoRouteOnward, "there is no route, and the ICMP error says \"network unreachable\""},
			{NeighborUnreachable, "the next hop is right, and the last host does not answer"},
			{ForwardFirewall, "a rule rejects the packet, and the ICMP error says \"prohibited\""},
		},
		Mend: `On the host that says so, and then on the next hop, look where each sends the packet:
  ip route get ADDRESS
The two name each other in a loop: correct the route of the one that is wrong. If there is
no loop, look for a rule that changes the TTL:
  nft list ruleset | grep -E 'ttl set|hoplimit set'
  iptables-save | grep -E 'TTL|HL'`,
	}},
	{Code: ReversePathFilter, Class: ClassRouting, Doc: Doc{
		Title: "the kernel drops the packet because of its source address",
		Meaning: `The kernel checks where an answer to the packet would go. With rp_filter = 1 it must be
the interface that the packet came in by, with 2 there must be a route at all. The packet
fails this check, or its source is one that no packet from outside may have.`,
		Wire: `The packet is seen in prerouting and no more. It may be an encrypted one (A3 or B2 is
missing), one that left the tunnel (B5 or A6), or a reply (B7). No ICMP error, no rule.`,
		Alike: []Candidate{
			{ForwardFirewall, "a rule drops it; the trace then names the rule"},
			{ForwardingDisabled, "also lost after prerouting, and its source passes the check"},
			{ReplyLeavesElsewhere, "the same asymmetry, where the packet gets in and the answer goes astray"},
		},
		Mend: `Best, give the source a route back by the interface that the packet comes in on. Else
relax the check for that interface; the greater of its own value and that of "all" counts:
  sysctl -w net.ipv4.conf.INTERFACE.rp_filter=2
For packets with a firewall mark, net.ipv4.conf.all.src_valid_mark=1 has the check use it.
To see that it was this:
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
		Mend: `Either give the network a route to the tunnel's prefix by this host, on its router or
on the destination:
  ip route add PREFIX via THISHOST
or translate here, so that the destination answers to this host:
  nft add rule inet nat postrouting oifname LINK ip saddr PREFIX masquerade`,
	}},
	{Code: ProxyARPMissing, Class: ClassRouting, Doc: Doc{
		Title: "nobody answers for the client on the destination's network",
		Meaning: `The client has an address of the network that the destination is in. The destination takes
it for a neighbor, and asks on the link for its link address (ARP, or NDP for IPv6). This
host does not answer for it, so that no answer comes. That the destination asks is not seen,
only that nothing comes back: the verdict is not certain.`,
		Wire: `The request leaves the far host with the client's own address (B5). On the link there are
ARP or neighbor requests for that address without an answer: B6 is missing.`,
		Alike: []Candidate{
			{SNATMissing, "the client's address is not of the destination's network"},
			{NoReplyFromDestination, "the destination is down, or drops it"},
			{NeighborUnreachable, "it is the destination that does not answer to ARP"},
		},
		Mend: `Have this host answer for the client, on the link of the destination. IPv4:
  sysctl -w net.ipv4.conf.LINK.proxy_arp=1
IPv6, which has a list of addresses:
  sysctl -w net.ipv6.conf.LINK.proxy_ndp=1
  ip -6 neigh add proxy ADDRESS dev LINK
Or give the tunnel a network of its own, and the destination a route to it.`,
	}},
	{Code: NeighborUnreachable, Class: ClassNetwork, Doc: Doc{
		Title: "the destination does not answer on its link",
		Meaning: `The packet was forwarded, and the next hop or the destination itself does not answer to
ARP or neighbor discovery: it is off, elsewhere, or has another address. Seen from the
sender it is an ICMP "host unreachable" that came back through the tunnel. A WireGuard on the
far host says the same of a packet that it has no peer or no endpoint for, at once: if it
comes so soon, or in the name of the destination, the verdict is not certain.`,
		Wire: `The packet passes the far host's firewall (B5). On the link there are ARP or neighbor
requests without an answer; the packet itself is not sent. B6 is missing.`,
		Alike: []Candidate{
			{NoReplyFromDestination, "it answers to ARP, and not to the request"},
			{NoRouteOnward, "there is no route at all"},
		},
		Mend: `On the far host:
  ip neighbour show ADDRESS
Is the destination up, and on that link? If it is behind a router, the route needs that
router as gateway:
  ip route add PREFIX via GATEWAY dev INTERFACE`,
	}},
	{Code: NoReplyFromDestination, Class: ClassNetwork, Doc: Doc{
		Title: "the request was passed on and nothing came back",
		Meaning: `This is a general code: the packet left the tunnel and this host (or reached the host's
own stack), and no reply was seen. The destination may be down, may drop it, or may
answer to somewhere else. The candidates have the check for each.`,
		Wire: `B4 and, for another host, B5 have passed; B6 or B7 is missing. Connection tracking shows
the flow as unreplied.`,
		Alike: []Candidate{
			{SNATMissing, "the destination answers, but its answers do not come here: tcpdump on it shows them leave"},
			{NeighborUnreachable, "the destination does not answer to ARP: ip neighbour says FAILED"},
			{ReturnFirewall, "the reply comes back to this host, and is dropped there"},
			{ForwardFirewall, "the request does not leave this host: only if it could not be traced"},
		},
		Mend: `Look on the destination whether the request arrives and what it answers:
  tcpdump -ni any host ADDRESS
Arrives, and no answer: its firewall, or nothing listens on that port (ss -tulnp). Arrives,
and the answer leaves: its route back, see snat-missing. Not every host answers pings: try
the port of a service.`,
	}},
	{Code: ReturnFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "the reply is dropped on its way back into the tunnel",
		Meaning: `The destination has answered, and on the host at the far end of the tunnel a rule, a
chain's policy or an IPsec policy drops the reply before it gets into the tunnel.`,
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
		Title: "the reply is routed elsewhere than into the tunnel",
		Meaning: `The reply is at the host at the far end of the tunnel, and that host's route to the
sender leads to another interface, or rejects. The evidence names the route and the rule.`,
		Wire: `The reply comes back (B6) and leaves by another interface, or is dropped by routing: B7
is missing.`,
		Alike: []Candidate{
			{ReturnFirewall, "the route is right, and a rule drops the reply"},
			{DisallowedSource, "the reply enters the tunnel, and the other end refuses its source"},
			{DestNotRouted, "the request is not routed, on the sending host"},
		},
		Mend: `On that host, look up the route to the sender's tunnel address and lead it into the
tunnel:
  ip route get SENDER
  ip route add SENDER dev NAME
If the interface has lost its address or is down, mend that first. wgnode reload NAME
restores all that the configuration states.`,
	}},
}
