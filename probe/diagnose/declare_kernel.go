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
Then configure the program that attached it to accept the tunnel's packets. For a service of
systemd: systemctl show UNIT -p IPAddressDeny -p IPAddressAllow`,
	}},
	{Code: QueueFull, Class: ClassNetwork, Doc: Doc{
		Title: "a queue of this host is full",
		Meaning: `The queue of a device is full, and packets are dropped: more is sent than the device or its
shaper (tbf, htb) can pass. For the tunnel's own interface it means that this program does not
read fast enough.`,
		Wire: `Some packets pass, others do not; under load most do not.`,
		Alike: []Candidate{
			{BPFDrop, "all such packets are dropped, even at a low rate"},
			{MTUBlackhole, "only large packets are lost"},
		},
		Mend: `See which queue drops, and how much:
  tc -s qdisc show dev DEV
If a limit is too low, raise it where it is set. Otherwise send less, or shape the traffic in
one place.`,
	}},
	{Code: SocketBufferFull, Class: ClassNetwork, Doc: Doc{
		Title: "the receive buffer of a socket is full",
		Meaning: `Datagrams arrive faster than the program reads them, or it has stopped reading. The kernel
drops what does not fit into the socket's buffer.`,
		Wire: `tcpdump shows that the packets arrive on this host; they do not reach the program.`,
		Alike: []Candidate{
			{UnderlayInputFirewall, "a rule drops them before they reach the socket"},
			{BPFDrop, "a filter of the socket drops them, even at a low rate"},
		},
		Mend: `See whether the program runs, and how full its buffer is (Recv-Q):
  ss -uamn
  nstat -az UdpRcvbufErrors
A larger buffer helps against bursts: sysctl -w net.core.rmem_max=BYTES`,
	}},
	{Code: Checksum, Class: ClassNetwork, Doc: Doc{
		Title: "the packet's checksum is wrong",
		Meaning: `The kernel drops a packet whose checksum is wrong. Usually a device, real or virtual, was to
compute it (offload) and did not, or something rewrote the packet without updating the
checksum.`,
		Wire: `tcpdump -v shows "bad udp cksum" or "incorrect" where the packet arrives. Where it is
sent that is usual: the device computes it later.`,
		Alike: []Candidate{
			{NoReply, "the packet does not arrive at all"},
			{InputFirewall, "it arrives with the right checksum"},
		},
		Mend: `Let the sending host's kernel compute it, as a test:
  ethtool -K DEV tx off`,
	}},
	{Code: LocalTableBypassed, Class: ClassRouting, Doc: Doc{
		Title: "a policy rule diverts packets for this host itself",
		Meaning: `The packet is for an address of this host, which is in table local, and a policy rule that
comes before that table routes it elsewhere: it is forwarded, or dropped by the route,
instead of being delivered. By default table local comes first, with priority 0. VRFs often
have table local after their own rule (l3mdev), and some scripts move it so that traffic
between this host's own addresses leaves the host.`,
		Wire: `The packet arrives and passes the prerouting hook; it does not reach the input hook.
tcpdump shows it once more on another device, or not at all.`,
		Alike: []Candidate{
			{InputFirewall, "a rule of the packet filter drops it in the input hook"},
			{NoRouteOnward, "the address is another host's"},
			{ReversePathFilter, "it is dropped because of its source"},
		},
		Mend: `See which rules come before "lookup local":
  ip rule
  ip -6 rule
Put table local first, for this address, or for all (priority 0):
  ip rule add pref NUMBER to ADDRESS lookup local
Permanently, in the configuration of the VRF or of the network, where the rules come from.`,
	}},
	{Code: IPv6Disabled, Class: ClassConfig, Doc: Doc{
		Title: "the device has no IPv6",
		Meaning: `IPv6 is off on the device that the packet arrived on: by disable_ipv6, or because its MTU
is less than 1280, the minimum of IPv6. The kernel drops all IPv6 packets that arrive there,
before any rule sees them, and the device cannot have IPv6 addresses.`,
		Wire: `IPv6 packets come out of the tunnel and go no further. IPv4 works.`,
		Alike: []Candidate{
			{InputFirewall, "a rule drops them"},
			{ForwardingDisabled, "they arrive, and are not forwarded"},
		},
		Mend: `Allow it, or raise the MTU; then add the lost addresses again:
  sysctl -w net.ipv6.conf.DEV.disable_ipv6=0
  ip link set DEV mtu 1280
  ip address add ADDRESS/LENGTH dev DEV
wgnode reload NAME restores the addresses of a configuration. Permanently, in a file in
/etc/sysctl.d: net.ipv6.conf.all.disable_ipv6 applies to all devices.`,
	}},
}
