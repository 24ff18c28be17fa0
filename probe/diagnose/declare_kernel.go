package diagnose

// This file declares the codes of what the kernel drops by itself, at any checkpoint.

var declaredKernel = []declaration{
	{Code: BPFDrop, Class: ClassFirewall, Doc: Doc{
		Title: "a BPF program drops the packet",
		Meaning: `A program that is attached to a device (XDP, tc, tcx), to a cgroup or to a socket drops
the packet. Container networks, services of systemd with IPAddressDeny= or
RestrictNetworkInterfaces=, and traffic shapers use such programs. nft and iptables do
not show them, nor does netfilter's trace.`,
		Wire: `The packet is seen at the checkpoint before, and not at the one that is named. At the
ingress of a device tcpdump still shows it (not with XDP); at the egress it does not.`,
		Alike: []Candidate{
			{OutputFirewall, "nft list ruleset has a rule that drops it"},
			{QueueFull, "tc -s qdisc counts drops, and some packets pass"},
			{NoReply, "nothing on this host drops it"},
		},
		Mend: `See what is attached, and to what:
  bpftool net show
  tc filter show dev DEV ingress; tc filter show dev DEV egress
  bpftool cgroup tree
  ip link show dev DEV
Then have the program that attached it let the tunnel's packets pass. A service of systemd
is asked by: systemctl show UNIT -p IPAddressDeny -p IPAddressAllow`,
	}},
	{Code: QueueFull, Class: ClassNetwork, Doc: Doc{
		Title: "a queue of this host is full",
		Meaning: `The queue in front of a device has no room, so that packets are dropped: more is sent
than the device or its shaper (tbf, htb) lets pass. Of the tunnel's own interface it is
this program that does not read fast enough.`,
		Wire: `Some packets pass, others do not; under load most do not.`,
		Alike: []Candidate{
			{BPFDrop, "all such packets are dropped, however little is sent"},
			{MTUBlackhole, "it is the large packets that vanish"},
		},
		Mend: `See which queue drops, and how much:
  tc -s qdisc show dev DEV
A limit that is too low there is raised where it is set; else send less, or shape it in
one place.`,
	}},
	{Code: SocketBufferFull, Class: ClassNetwork, Doc: Doc{
		Title: "the receive buffer of a socket is full",
		Meaning: `Datagrams arrive faster than the program reads them, or it has stopped reading. The kernel
drops what finds no room in the socket's buffer.`,
		Wire: `tcpdump shows that the packets arrive on this host; the program does not get them.`,
		Alike: []Candidate{
			{UnderlayInputFirewall, "a rule drops them before they come to the socket"},
			{BPFDrop, "a filter of the socket drops them, however few there are"},
		},
		Mend: `See whether the program runs, and how full its buffer is (Recv-Q):
  ss -uamn
  nstat -az UdpRcvbufErrors
A larger buffer helps against bursts: sysctl -w net.core.rmem_max=BYTES`,
	}},
	{Code: Checksum, Class: ClassNetwork, Doc: Doc{
		Title: "the packet's checksum is wrong",
		Meaning: `The kernel drops a packet whose checksum does not fit. As a rule a device or a virtual one
was to compute it (offload) and did not, or something has rewritten the packet and left
the checksum as it was.`,
		Wire: `tcpdump -v shows "bad udp cksum" or "incorrect" where the packet arrives. Where it is
sent that is usual: the device computes it later.`,
		Alike: []Candidate{
			{NoReply, "the packet does not arrive at all"},
			{InputFirewall, "it arrives with the right checksum"},
		},
		Mend: `Have the sending host's kernel compute it, to see whether that is it:
  ethtool -K DEV tx off`,
	}},
	{Code: LocalTableBypassed, Class: ClassRouting, Doc: Doc{
		Title: "a policy rule takes what is for this host itself",
		Meaning: `The packet is for an address of this host, which table local has, and a policy rule that
is asked before that table leads it elsewhere: it is forwarded, or dropped by the route, in
place of being taken in. By default table local comes first, with priority 0. VRFs are often
set up with table local behind their own rule (l3mdev), and some scripts move it to have
traffic between this host's own addresses leave.`,
		Wire: `The packet arrives, and passes the prerouting hook; it does not come to the input hook.
tcpdump shows it once more on another device, or not at all.`,
		Alike: []Candidate{
			{InputFirewall, "a rule of the packet filter drops it in the input hook"},
			{NoRouteOnward, "the address is another host's"},
			{ReversePathFilter, "it is dropped because of its source"},
		},
		Mend: `See which rules come before "lookup local":
  ip rule
  ip -6 rule
Have table local asked first, for this address, or for all (priority 0):
  ip rule add pref NUMBER to ADDRESS lookup local
For good, where the rules are made: the configuration of the VRF, or of the network.`,
	}},
	{Code: IPv6Disabled, Class: ClassConfig, Doc: Doc{
		Title: "the device has no IPv6",
		Meaning: `IPv6 is off on the device that the packet came in on: by disable_ipv6, or because its MTU
is less than 1280, the least that IPv6 takes. The kernel drops all IPv6 packets that come in
there, before any rule sees them, and takes no IPv6 address.`,
		Wire: `IPv6 packets come out of the tunnel and go no further. IPv4 works.`,
		Alike: []Candidate{
			{InputFirewall, "a rule drops them"},
			{ForwardingDisabled, "they arrive, and are not passed on"},
		},
		Mend: `Allow it, or raise the MTU; then add the addresses again that were lost by it:
  sysctl -w net.ipv6.conf.DEV.disable_ipv6=0
  ip link set DEV mtu 1280
  ip address add ADDRESS/LENGTH dev DEV
wgnode reload NAME restores the addresses of a configuration. For good, in a file in
/etc/sysctl.d: net.ipv6.conf.all.disable_ipv6 applies to all devices.`,
	}},
}
