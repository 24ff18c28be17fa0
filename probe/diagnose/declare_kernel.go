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
}
