package diagnose

// This file declares the codes of a reply that does not come back, is a refusal, or is
// lost on this host: A5, A6 and the application; and of name resolution.

var declaredReply = []declaration{
	{Code: NoReply, Class: ClassNetwork, Doc: Doc{
		Title: "data goes through the tunnel and no reply comes back",
		Meaning: `This is a general code: the session with the peer works, data messages leave, and
nothing but keepalives returns. Everything from the peer's AllowedIPs to the
destination's firewall can be the reason, and looks the same from here.`,
		Wire: `A1 and A4 pass; A5 is missing, or brings only keepalives of 32 bytes. A handshake that
is completed meanwhile shows that keys and path are right.`,
		Alike: []Candidate{
			{DisallowedSource, "on the peer: its AllowedIPs for this host must contain the address that this host sends from"},
			{ForwardingDisabled, "on the peer: sysctl net.ipv4.ip_forward"},
			{ForwardFirewall, "on the peer: a rule of its forward hook"},
			{NoRouteOnward, "on the peer: ip route get ADDRESS"},
			{NoReplyFromDestination, "on the peer: the request is forwarded, and nothing comes back"},
			{ReturnRouteWrong, "on the peer: ip route get of this host's tunnel address must lead into the tunnel"},
			{NoResponse, "there is no session: handshakes are not answered"},
			{MTUBlackhole, "small packets do get a reply"},
		},
		Mend: `Ask the peer, which sees the packet leave the tunnel. There, while this host sends:
  wgnode explain NAME ADDRESS:PORT --passive
or from here, with access to both ends:
  wgnode explain NAME ADDRESS:PORT --with USER@HOST
If that is not possible, check the candidates in their order.`,
	}},
	{Code: ConnectionRefused, Class: ClassNetwork, Doc: Doc{
		Title: "the tunnel works; the service refuses",
		Meaning: `An answer came back through the tunnel, and it is a refusal: a TCP reset, or an ICMP
"port unreachable". The packet reached the destination. Nothing listens on that port, or
a firewall rule there rejects.`,
		Wire: `All checkpoints pass, there and back. The reply is a reset or an ICMP error.`,
		Alike: []Candidate{
			{ForwardFirewall, "the refusal comes from a host before the destination: the evidence names the sender"},
			{NoReplyFromDestination, "nothing comes back"},
			{Healthy, "the same, with a service that accepts"},
		},
		Mend: `On the destination: does the service run, and on which address?
  ss -tulnp
A service that listens on 127.0.0.1 or on another interface's address only refuses what
comes through a tunnel. To TCP, an ICMP error in place of a reset means a firewall rule.`,
	}},
	{Code: InputFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "this host drops the packet after it leaves the tunnel",
		Meaning: `The packet has arrived, decrypted, and left the tunnel, and this host's firewall or an
IPsec policy drops it before the application. For the sending side that is the reply; for
the receiving side a request to the host itself.`,
		Wire: `The reply is written to the tunnel's interface and goes no further: the verdict is at A6.
A request is written there too (B4), and no reply enters the tunnel: B7 is missing.`,
		Alike: []Candidate{
			{ReversePathFilter, "no rule drops it; the kernel does because of its source: nstat -az TcpExtIPReversePathFilter"},
			{UnderlayInputFirewall, "the encrypted packet is dropped, before the tunnel"},
			{ForwardFirewall, "the packet is for another host, and the forward hook drops it"},
		},
		Mend: `Accept what comes in on the tunnel's interface, in the input hook:
  nft insert rule inet filter input iifname NAME accept
For replies, accepting established connections is enough. The verdict has the exact
command for the chain that drops.`,
	}},
	{Code: MTUBlackhole, Class: ClassNetwork, Doc: Doc{
		Title: "small packets pass and full-size ones are lost",
		Meaning: `Packets of the tunnel's MTU do not reach the destination and return; smaller ones do, and
no host on the path reports that they are too large. Connections open and then hang: ssh
after the login, web pages that load halfway.`,
		Wire: `The handshake and small data pass. Large data messages leave (A4) and have no reply: A5
is missing for them. No ICMP "packet too big" arrives. With its headers, an encrypted
packet is 60 bytes larger than the packet in it over IPv4, 80 over IPv6.`,
		Alike: []Candidate{
			{MTUTooLarge, "the MTU does not even fit the first link: known without a measurement"},
			{NoReply, "small packets are lost too"},
			{NoReplyFromDestination, "the destination answers small pings alone: tcpdump there shows that the large ones arrive"},
			{LostOnPath, "messages of all sizes are lost"},
		},
		Mend: `Lower the tunnel's MTU to what the verdict says, at both ends:
  ip link set mtu MTU dev NAME
and MTU in the configuration. If other hosts send through this one, clamp the TCP segment
size too. The real fault is a firewall that drops ICMP "packet too big"; fix that if you
can.`,
	}},
	{Code: DNSUnreachable, Class: ClassDNS, Doc: Doc{
		Title: "the configured name server does not answer through the tunnel",
		Meaning: `The tunnel works at this moment, and a name server of the configuration (DNS = ...) did
not answer a query, or refuses it.`,
		Wire: `The query enters the tunnel (A1) and leaves (A4); no answer comes, or an ICMP port
unreachable.`,
		Alike: []Candidate{
			{NoReply, "nothing gets an answer through the tunnel"},
			{DNSNotApplied, "the server would answer, but the system asks another"},
		},
		Mend: `On the server: does it run, does it listen on its tunnel address, and may the tunnel's
addresses query it?
  ss -ulnp sport = 53
Many servers answer their own network only (allow-query, access-control). Its firewall
must accept UDP and TCP port 53 from the tunnel.`,
	}},
	{Code: DNSNotApplied, Class: ClassDNS, Doc: Doc{
		Title: "the system does not use the configured name server",
		Meaning: `The configuration names a server, and the system's resolver asks another one first.
Something has changed the resolver since the tunnel came up.`,
		Wire: `Queries go to another server, often outside the tunnel. Names behind the tunnel do not
resolve; addresses work.`,
		Alike: []Candidate{
			{DNSUnreachable, "the right server is queried, and does not answer"},
			{DNSLeak, "in a full tunnel, the other server is reached outside of it"},
			{NotAsApplied, "something else that the node had set was changed"},
		},
		Mend: `Set it again:
  wgnode reload NAME
If it does not last, a DHCP client or a network manager writes it. Configure that to leave
the resolver alone, or let systemd-resolved or resolvconf manage all servers.`,
	}},
	{Code: DNSLeak, Class: ClassDNS, Doc: Doc{
		Title: "DNS queries leave outside of a full tunnel",
		Meaning: `The tunnel is to carry everything, and a name server of the system is reached by another
interface. Other hosts can see which names are queried. Other traffic goes through the
tunnel.`,
		Wire: `DNS queries on the uplink in the clear.`,
		Alike: []Candidate{
			{DNSNotApplied, "the configuration has a server that is not used"},
			{FullTunnelOneFamily, "all traffic of one address family leaves outside"},
		},
		Mend: `Set DNS in [Interface] to a server that is reached through the tunnel, then reload. A
server on the local network has a more specific route than the tunnel's: choose another. To
see through which interface a server is reached:
  ip route get SERVER
A kill switch stops queries outside of the tunnel.`,
	}},
}
