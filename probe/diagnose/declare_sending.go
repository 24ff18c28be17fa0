package diagnose

// This file declares the codes of a flow that works, of one that is not judged, and of
// what does not get as far as the network: A1 and A2 on the side that sends.

var declaredNone = []declaration{
	{Code: Healthy, Class: ClassNone, Doc: Doc{
		Title: "traffic passes in both directions",
		Meaning: `The reply came back to the application. For a flow that means that the probe was
answered through the tunnel; for a peer, that its session is up.`,
		Wire: `All checkpoints that the flow needs have passed. A2 and A3 are not needed where a
session was up already, B5 and B6 not where the destination is the peer's own address.`,
		Alike: []Candidate{
			{ConnectionRefused, "the packets pass in both directions too, but the answer is a refusal"},
			{MTUBlackhole, "small packets pass and full-size ones do not: explain measures that after the probe is answered"},
			{Idle, "nothing failed, but nothing was tried either"},
		},
		Mend: `Nothing. If users still complain, ask for the exact address and port, because a verdict is
about one flow:
  wgnode explain NAME ADDRESS:PORT`,
	}},
	{Code: Idle, Class: ClassNone, Doc: Doc{
		Title: "there was no traffic to judge",
		Meaning: `There is no session with the peer and no attempt to start one, or no packet of the
flow was seen in the time given. WireGuard sends nothing without a reason, so a quiet
tunnel is normal. This is not a fault.`,
		Wire: `No handshake messages, or only one that is too recent to judge. No data.`,
		Alike: []Candidate{
			{Healthy, "a session is up: a handshake was completed in the last 180 seconds"},
			{NoResponse, "initiations were sent, and nothing came back"},
			{DestNotRouted, "packets were sent, and the kernel did not give them to the tunnel: explain with a probe shows that"},
		},
		Mend: `Send a packet and watch it:
  wgnode explain NAME ADDRESS:PORT
On the receiving side, watch while the other host sends:
  wgnode explain NAME ADDRESS:PORT --passive`,
	}},
}

var declaredSending = []declaration{
	{Code: DestNotRouted, Class: ClassRouting, Doc: Doc{
		Title: "this host has no route to the destination",
		Meaning: `The kernel finds no route for the destination, or one of type unreachable, blackhole or
prohibit. The packet never reaches the tunnel. A peer has the destination in its
AllowedIPs, but AllowedIPs of a running interface do not create routes: wgnode up adds
them from the configuration, "wg set" does not.`,
		Wire: `Nothing. The application gets "Network is unreachable", "No route to host" or
"Permission denied" at once. A1 is missing.`,
		Alike: []Candidate{
			{RouteBypassesTunnel, "there is a route, but by another interface"},
			{NoAllowedIPsMatch, "the destination is in no peer's AllowedIPs; a missing route is a consequence"},
			{OutputFirewall, "a firewall that rejects also gives an error at once; the netfilter trace then names the rule"},
		},
		Mend: `Look up what the kernel decides, and by which rule:
  ip route get ADDRESS
  ip rule
If the interface is down or has lost its address, fix that first: its routes are gone, too.
Then add the route, or remove the one that rejects:
  ip route add PREFIX dev NAME
If the configuration has the prefix in AllowedIPs, restore everything at once:
  wgnode reload NAME`,
	}},
	{Code: RouteBypassesTunnel, Class: ClassRouting, Doc: Doc{
		Title: "the packet leaves by another interface than the tunnel",
		Meaning: `The destination is in a peer's AllowedIPs, but the kernel routes it elsewhere: a more
specific route, a policy rule that comes first, or a rule of the firewall that changes
the packet's mark or destination. The evidence names the route, its table and the rule.`,
		Wire: `The packet leaves unencrypted by the other interface. A1 is missing. An answer may
even come back outside of the tunnel; the verdict then says so.`,
		Alike: []Candidate{
			{DestNotRouted, "there is no route at all"},
			{AddressConflict, "the destination is also in the network of a local link; that is often the reason"},
			{OutputFirewall, "the packet is dropped instead of sent elsewhere"},
		},
		Mend: `See which rule and which route win:
  ip route get ADDRESS
  ip rule
  ip route show table all
Add a more specific route into the tunnel, or remove the rule or route that wins. With a
full tunnel, wgnode adds a policy rule for unmarked packets: a rule with a lower number
wins against it.`,
	}},
	{Code: NoAllowedIPsMatch, Class: ClassConfig, Doc: Doc{
		Title: "the destination is in no peer's AllowedIPs",
		Meaning: `WireGuard chooses the peer for a packet by its destination: the peer whose AllowedIPs
have the longest matching prefix. No peer has one that matches, so the tunnel refuses the
packet. (With the kernel's WireGuard the error is "Required key not available".) A hub that
forwards packets from one peer to another may lack the prefix, too. Its own verdict says so,
and if it runs wgnode, the sender gets an ICMP error with the reason.`,
		Wire: `No handshake and no data for this packet. If it is routed to the tunnel it is seen
entering and is dropped there; its sender gets an ICMP error. If a hub drops the
packet, B5 is missing on the sender.`,
		Alike: []Candidate{
			{RouteBypassesTunnel, "a peer has the prefix, but the route does not lead into the tunnel"},
			{OverlappingAllowedIPs, "two peers were given the prefix; only the last one has it"},
			{NoEndpoint, "a peer matches, but its address is not known"},
		},
		Mend: `On the sending side, add the destination's prefix to AllowedIPs of the peer that it is
behind. A prefix belongs to one peer only. Now, with all prefixes of the peer, because the
list replaces the old one:
  wg set NAME peer KEY allowed-ips PREFIX,PREFIX
Permanently, in the peer's section of the configuration. The peer must forward to it, too.`,
	}},
	{Code: OutputFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "this host drops the packet before it reaches the tunnel",
		Meaning: `A rule or the policy of a netfilter chain drops or rejects the packet on its way from
the application into the tunnel. If the trace has seen the drop, the evidence names
table, chain, rule and handle, and the verdict is certain. Something that netfilter does
not trace can drop too: rules of legacy iptables, tc, eBPF, an IPsec policy.`,
		Wire: `Nothing. A1 is missing. The application gets "Operation not permitted" where the drop
is in the output hook, an ICMP error or a reset where a rule rejects, and else a timeout.`,
		Alike: []Candidate{
			{RouteBypassesTunnel, "the packet leaves by another interface: ip route get shows it"},
			{UnderlayOutputFirewall, "the inner packet enters the tunnel, and its encrypted form is dropped"},
			{InputFirewall, "the request arrives, and the reply is dropped before the application"},
		},
		Mend: `Accept the packet before the rule that drops it, or remove that rule. The verdict has
the command. To see the rules:
  nft list ruleset
  iptables-legacy-save
Kill switches of VPN software drop everything that does not leave by their interface; add
an exception there rather than a rule that it will remove.`,
	}},
	{Code: NoPrivateKey, Class: ClassConfig, Doc: Doc{
		Title: "this interface has no private key",
		Meaning: `The device has no private key, so no peer can know its public key. Handshakes fail with
every peer.`,
		Wire: `Initiations may leave, made with an all-zero key. The peers drop them without an
answer: to them it is an unknown peer.`,
		Alike: []Candidate{
			{NoResponse, "the same on the wire; wg show NAME shows a public key then"},
			{UnknownPeer, "the verdict on the other side"},
		},
		Mend: `Make a key, put it into the configuration, reload, and give the public key to the peers:
  wgnode genkey
  wgnode reload NAME
  wg show NAME public-key
If a PostUp hook sets the key, the hook has failed: see the log.`,
	}},
	{Code: NoEndpoint, Class: ClassConfig, Doc: Doc{
		Title: "the peer's address is not known",
		Meaning: `The peer has no Endpoint in the configuration, and no authenticated packet of it has
arrived that would show its address. This host cannot start a handshake; only the peer can.
If this is the peer of a hub that forwards packets to it, the hub's own verdict says so, and
if it runs wgnode, the sender gets an ICMP error with the reason.`,
		Wire: `The packet enters the tunnel (A1) and is dropped there; its sender gets "host
unreachable". No initiation leaves: A2 is missing. If a hub drops the packet, B5 is
missing on the sender.`,
		Alike: []Candidate{
			{EndpointUnresolved, "an Endpoint is configured, but its name does not resolve"},
			{NoResponse, "the address is known, and initiations leave"},
			{NoKeepalive, "the address was learned once, but the NAT mapping has expired"},
		},
		Mend: `If the peer has a fixed address or name, add it here: Endpoint = HOST:PORT in its
[Peer] section.

If it has none (a laptop, a host behind NAT), let the peer start: on the peer, set
Endpoint and PersistentKeepalive = 25 in its [Peer] section for this host. The keepalive
makes it connect at once and keeps the NAT mapping open.`,
	}},
	{Code: EndpointUnresolved, Class: ClassDNS, Doc: Doc{
		Title: "the endpoint's host name does not resolve",
		Meaning: `The peer's Endpoint is a name, and this host's resolver gave no address for it. The
evidence has the resolver's answer. wgnode retries in the background.`,
		Wire: `DNS queries without a useful answer. No initiation leaves: A2 is missing.`,
		Alike: []Candidate{
			{NoEndpoint, "no Endpoint is configured at all"},
			{EndpointInTunnel, "the name server is reached only through the tunnel that needs the name"},
			{NoResponse, "the name resolves, perhaps to an old address: compare it with the peer's"},
		},
		Mend: `Ask as the system does, and ask a server directly:
  getent ahosts HOST
  resolvectl query HOST
If only names fail, the resolver is at fault, not WireGuard. In a full tunnel the name
server must be reachable before the tunnel is up: use one outside of it, or an address
instead of the name.`,
	}},
	{Code: EndpointNotRouted, Class: ClassRouting, Doc: Doc{
		Title: "this host has no route to the peer's endpoint",
		Meaning: `The kernel finds no route for the encrypted packets, looked up with the tunnel's
firewall mark, or sending fails for that reason. The tunnel's own routes do
not count: encrypted packets must leave by the uplink.`,
		Wire: `Sending fails with "Network is unreachable", "No route to host" or the like. A2 is
missing: no initiation leaves.`,
		Alike: []Candidate{
			{EndpointInTunnel, "there is a route, but it leads back into the tunnel"},
			{EndpointUnreachable, "packets leave, and a router or the link reports that they cannot be delivered"},
			{UnderlayOutputFirewall, "there is a route, and a firewall of this host drops the packets"},
		},
		Mend: `Check the uplink: is it up, does it have an address and a default route?
  ip route get ENDPOINT mark MARK
  ip -br address
An IPv6 endpoint needs IPv6 on the uplink. If an unreachable or blackhole route or a rule
is responsible, the verdict has the command that removes it.`,
	}},
	{Code: EndpointInTunnel, Class: ClassRouting, Doc: Doc{
		Title: "the route to the peer's endpoint leads into the tunnel itself",
		Meaning: `The encrypted packets are routed into the tunnel that makes them. That happens when the
AllowedIPs of a peer cover the endpoint and nothing leads the encrypted packets around
it: no firewall mark with a policy rule, no host route through the uplink.`,
		Wire: `Nothing leaves the host. On the tunnel interface packets to the endpoint's own address
appear. A2 is missing.`,
		Alike: []Candidate{
			{EndpointNotRouted, "there is no route at all"},
			{NoResponse, "initiations do leave the host by the uplink"},
		},
		Mend: `Leave the endpoint's address out of AllowedIPs, or add a route through the uplink:
  ip route add ENDPOINT via GATEWAY dev INTERFACE
For AllowedIPs = 0.0.0.0/0, wgnode sets a mark and a rule as wg-quick does; with Table =
off, or routes added by hand, you must do that. If a policy rule with a lower number
catches the marked packets (ip rule lists them all), remove it.`,
	}},
	{Code: UnderlayOutputFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "this host drops its own encrypted packets before they leave",
		Meaning: `The inner packet has entered the tunnel, but the firewall of this host, a queueing
discipline or an IPsec policy drops the UDP packet that carries it. If the trace has seen
the drop, the evidence names table, chain, rule and handle.`,
		Wire: `Sending fails with "Operation not permitted" for a drop in the output hook, "No buffer
space available" for a later one; or without an error. Nothing leaves. A2 (handshake) or
A4 (data) is missing; on the side that answers, B2 or B8.`,
		Alike: []Candidate{
			{OutputFirewall, "the inner packet is dropped before it reaches the tunnel"},
			{EndpointNotRouted, "sending fails because of routing"},
			{NoResponse, "the packets leave, and nothing comes back"},
		},
		Mend: `Allow UDP from the tunnel's port to the endpoint. The verdict has the command if the rule is
known. Otherwise look for it:
  nft list ruleset
  tc -s qdisc show dev INTERFACE
  ip xfrm policy
A kill switch of another VPN is the usual reason.`,
	}},
}
