package diagnose

// This file declares the codes of findings: what is wrong with a configuration or a host,
// whether or not it hurts now.

var declaredFindings = []declaration{
	{Code: ClockSkew, Class: ClassConfig, Doc: Doc{
		Title: "the clock of this host or of a peer is wrong",
		Meaning: `The time in a peer's handshake differs from this host's clock by more than five minutes,
or this host's clock is earlier than the build time of wgnode. WireGuard does not need the
exact time, only a clock that does not go back. This is a warning: if a clock is ahead now and
is corrected later, handshakes fail.`,
		Wire: `Nothing yet. After the clock went back, initiations are dropped by the responder.`,
		Alike: []Candidate{
			{HandshakeReplay, "the clock went back, and handshakes fail now"},
		},
		Mend: `On the host whose clock is wrong (date -u on both shows which):
  timedatectl set-ntp true
A peer that has seen a time in the future must forget it: see handshake-replay.`,
	}},
	{Code: OverlappingAllowedIPs, Class: ClassConfig, Doc: Doc{
		Title: "two peers claim the same prefix",
		Meaning: `The same prefix is in the AllowedIPs of two peers. An interface gives a prefix to one
peer: the last one named wins, the other loses it without an error. A longer prefix inside
another is not an overlap: the longest match wins.`,
		Wire: `Packets to the prefix all go to one of the two; packets from the other are dropped as
disallowed-source.`,
		Alike: []Candidate{
			{DisallowedSource, "the verdict on packets of the peer that has lost the prefix"},
			{DuplicateAddress, "a peer has this host's own address"},
		},
		Mend: `Remove the prefix from one of the two sections, or narrow it. To see which peer has it now:
  wg show NAME allowed-ips`,
	}},
	{Code: AddressConflict, Class: ClassConfig, Doc: Doc{
		Title: "the tunnel's network is also the network of another interface",
		Meaning: `A network of the tunnel, or of a peer's AllowedIPs, is the same as that of a local link
or lies within it. Of each address only one of the two can be reached. Common with
192.168.0.0/24 and 192.168.1.0/24 at home and at a cafe.`,
		Wire: `Packets to the other host go to the wrong interface: there are ARP requests on the local link
for addresses behind the tunnel, or the reverse.`,
		Alike: []Candidate{
			{RouteBypassesTunnel, "a possible verdict of a flow to such an address"},
			{DuplicateAddress, "a single address is used twice"},
		},
		Mend: `Renumber one of the two networks; the tunnel's is usually easier, on all of its hosts. Or list
only the addresses behind the peer that you need, as /32: they win against the link's
network. To see the routes:
  ip route show PREFIX`,
	}},
	{Code: DuplicateAddress, Class: ClassConfig, Doc: Doc{
		Title: "this host's tunnel address is also a peer's",
		Meaning: `An address of this interface is in the AllowedIPs of a peer as a single address. Two
hosts have one address. Packets from the peer look like this host's own, and nothing is sent
to the peer.`,
		Wire: `Packets to the address stay on this host; those from the peer are dropped by the kernel
as coming from itself.`,
		Alike: []Candidate{
			{OverlappingAllowedIPs, "two peers have the address"},
			{AddressConflict, "a whole network is used twice"},
			{SharedKey, "the configuration was copied with its key"},
		},
		Mend: `Give one of the two another address, in Address there and in AllowedIPs at all its peers:
  wg show NAME allowed-ips`,
	}},
	{Code: KeyIsOwn, Class: ClassConfig, Doc: Doc{
		Title: "a peer has this interface's own public key",
		Meaning: `A peer section has the public key that belongs to this interface's private key. The
device ignores such a peer without an error. Usually the wrong one of two keys was copied.`,
		Wire: `Nothing: the peer does not exist on the device.`,
		Alike: []Candidate{
			{NoAllowedIPsMatch, "the verdict of a flow to that peer"},
			{SharedKey, "two hosts have one private key"},
		},
		Mend: `On the host that the peer is meant to be, read its public key, and put that here:
  wg show all public-key`,
	}},
	{Code: WorldReadableConfig, Class: ClassConfig, Doc: Doc{
		Title: "every user of this host can read the private key",
		Meaning: `All users can read the file with the private key or a preshared key. Anyone with the key can
impersonate this host in the tunnel.`,
		Wire: `Nothing.`,
		Alike: []Candidate{
			{SharedKey, "the verdict if another host uses the key"},
		},
		Mend: `Remove the permission. If someone may have read the file, make a new key:
  chmod o= FILE`,
	}},
	{Code: NoKeepalive, Class: ClassConfig, Doc: Doc{
		Title: "this host is behind NAT, accepts connections, and sends no keepalives",
		Meaning: `Connections come in from a peer, this host's address is private, and no
PersistentKeepalive is set. A NAT mapping for UDP expires without outgoing packets, often
after 30 to 180 seconds. Then the peer cannot reach this host until this host sends.`,
		Wire: `When the tunnel is idle: packets of the peer, data and initiations, stop at the NAT
device. As soon as this host sends, they pass again.`,
		Alike: []Candidate{
			{NoEndpoint, "the verdict on the peer if it never knew this host's address"},
			{NoResponse, "the verdict on the peer once the mapping has expired"},
		},
		Mend: `On this host, in the peer's section:
  wg set NAME peer KEY persistent-keepalive 25
and PersistentKeepalive = 25 in the configuration. It is for the side behind NAT; the
other side does not need it.`,
	}},
	{Code: FullTunnelOneFamily, Class: ClassRouting, Doc: Doc{
		Title: "all of IPv4 goes through the tunnel and IPv6 does not, or the reverse",
		Meaning: `A peer has all addresses of one family in its AllowedIPs, and packets of the other
family have a route to the internet outside of the tunnel. Programs prefer IPv6 where they
can, so much of the traffic may leave in the clear.`,
		Wire: `Packets of the other family on the uplink, unencrypted.`,
		Alike: []Candidate{
			{DNSLeak, "only name queries leave"},
			{RouteBypassesTunnel, "single destinations leave"},
		},
		Mend: `Give the peer both: AllowedIPs = 0.0.0.0/0, ::/0. If the peer has no IPv6, that traffic is then
dropped instead of leaking, and programs fall back to IPv4.`,
	}},
	{Code: MTUTooLarge, Class: ClassNetwork, Doc: Doc{
		Title: "the tunnel's MTU does not fit the link below it",
		Meaning: `WireGuard adds 60 bytes to a packet over IPv4 and 80 over IPv6. With the tunnel's MTU,
full packets are larger than the MTU of the route to the endpoint: they are sent in
fragments, or not at all.`,
		Wire: `Fragments of encrypted packets on the uplink, or "Message too long" for large ones.`,
		Alike: []Candidate{
			{MTUBlackhole, "the limit is further along the path, and was measured"},
		},
		Mend: `Lower the MTU to what the finding says, at once and in the configuration:
  ip link set dev NAME mtu MTU
1420 fits all links with 1500; over PPPoE it is 1412. IPv6 in the tunnel needs 1280.`,
	}},
	{Code: NotAsApplied, Class: ClassConfig, Doc: Doc{
		Title: "another program changed what the node had set on this host",
		Meaning: `wgnode compares what it did (addresses, routes, rules, firewall, parameters, name
servers) with what the kernel has now, and something is missing or different. The finding
names it, since when, and if it can be known, which program did it. It also names a file
that was changed after it was applied, if the tunnel lacks peers or prefixes of it.`,
		Wire: `Depends on what is missing: without a route, packets leave elsewhere; without the kill
switch, they may leave unprotected.`,
		Alike: []Candidate{
			{DNSNotApplied, "the name servers, where more is known"},
			{DestNotRouted, "the verdict of a flow whose route is gone"},
			{RouteBypassesTunnel, "the verdict of a flow that now has another route"},
		},
		Mend: `Restore all of it:
  wgnode reload NAME
Then configure the other program to leave it alone. Network managers remove addresses and rules
that they do not know: set the interface to unmanaged.`,
	}},
	{Code: NodeDied, Class: ClassFirewall, Doc: Doc{
		Title: "a node was killed, and what it had set is still there",
		Meaning: `The process of a tunnel ended without cleaning up. Its interface is gone, but routes,
rules, name servers or a kill switch may be left. A kill switch stays on purpose: until
you decide, nothing may leave unprotected.`,
		Wire: `With a kill switch: nothing leaves this host except what it allows.`,
		Alike: []Candidate{
			{OutputFirewall, "packets are dropped by a kill switch of another program"},
			{NotAsApplied, "the node runs, and other programs have changed what it set"},
		},
		Mend: `Undo what it left, or bring the tunnel up again, which replaces it:
  wgnode recover NAME
  wgnode up NAME`,
	}},
}
