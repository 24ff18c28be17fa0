package udp

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// routed makes a host behind a router:
//
//	host                  router
//	veth0 10.9.0.2/24 --- veth1 10.9.0.1/24     prohibits   10.66.0.0/24, fd66::/64
//	      fd09::2/64            fd09::1/64      cannot reach 10.67.0.0/24, fd67::/64
//	default via router                          rejects      10.68.0.0/24 (nft)
//	                                            narrow0 10.69.0.0/24, MTU 1280
//
// The router sends as many ICMP messages as the tests provoke. (A rate limit
// of 0 for IPv4 would do the reverse: it takes away the credit that route
// errors are paid from.) However late it is found, the packets that wait for it are
// kept.
func routed(t *testing.T) (host, router *netns) {
	host, router = newNetns(t), newNetns(t)
	host.run(t, `
		ip link add veth0 type veth peer name veth1
		ip link set veth1 netns `+router.path+`
		ip address add 10.9.0.2/24 dev veth0
		ip address add fd09::2/64 dev veth0 nodad
		sysctl -qw net.ipv4.neigh.veth0.unres_qlen_bytes=10000000 net.ipv6.neigh.veth0.unres_qlen_bytes=10000000
		ip link set veth0 up`)
	router.run(t, `
		sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
		sysctl -qw net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
		ip address add 10.9.0.1/24 dev veth1
		ip address add fd09::1/64 dev veth1 nodad
		ip link set veth1 up
		ip route add prohibit 10.66.0.0/24
		ip route add unreachable 10.67.0.0/24
		ip -6 route add prohibit fd66::/64
		ip -6 route add unreachable fd67::/64
		ip link add narrow0 mtu 1280 type veth peer name narrow1
		ip link set narrow1 up
		ip link set narrow0 up
		ip route add 10.68.0.0/24 dev narrow0
		ip route add 10.69.0.0/24 dev narrow0
		nft add table ip filter
		nft add chain ip filter forward { type filter hook forward priority 0 ; }
		nft add rule ip filter forward ip daddr 10.68.0.0/24 reject with icmp host-prohibited`)
	host.run(t, `
		ip route add default via 10.9.0.1
		ip -6 route add default via fd09::1`)
	return host, router
}

func TestRouterSaysWhy(t *testing.T) {
	host, _ := routed(t)
	n := host.node(t, Options{})
	for _, c := range []struct {
		name, dst, from string
		size            int
		typ, code       uint8
		errno           unix.Errno
		mtu             uint32
	}{
		{name: "prohibit", dst: "10.66.0.9", from: "10.9.0.1", size: 100, typ: 3, code: 13, errno: unix.EHOSTUNREACH},
		{name: "unreachable", dst: "10.67.0.9", from: "10.9.0.1", size: 100, typ: 3, code: 1, errno: unix.EHOSTUNREACH},
		{name: "nft reject", dst: "10.68.0.9", from: "10.9.0.1", size: 100, typ: 3, code: 10, errno: unix.EHOSTUNREACH},
		{name: "narrow link", dst: "10.69.0.9", from: "10.9.0.1", size: 1400, typ: 3, code: 4, errno: unix.EMSGSIZE, mtu: 1280},
		{name: "prohibit v6", dst: "fd66::9", from: "fd09::1", size: 100, typ: 1, code: 1, errno: unix.EACCES},
		{name: "unreachable v6", dst: "fd67::9", from: "fd09::1", size: 100, typ: 1, errno: unix.ENETUNREACH},
	} {
		ep := n.endpoint(t, c.dst, 51820)
		n.mustSend(t, ep, make([]byte, c.size))
		e := n.nextICMP(t)
		if e.Dst.String() != ep.DstToString() || e.From != netip.MustParseAddr(c.from) {
			t.Errorf("%s: got an error about %v from %v, want about %s from %s", c.name, e.Dst, e.From, ep.DstToString(), c.from)
		}
		if e.Type != c.typ || e.Code != c.code || e.Errno != c.errno || e.MTU != c.mtu || e.Local {
			t.Errorf("%s: got %+v (%v), want type %d code %d %v MTU %d", c.name, e, e, c.typ, c.code, c.errno, c.mtu)
		}
	}
}

func TestNobodyAnswersARP(t *testing.T) {
	host, _ := routed(t)
	host.run(t, "sysctl -qw net.ipv4.neigh.veth0.mcast_solicit=1 net.ipv4.neigh.veth0.retrans_time_ms=50")
	n := host.node(t, Options{})
	ep := n.endpoint(t, "10.9.0.77", 51820)
	n.mustSend(t, ep, []byte{1})
	e := n.nextICMP(t)
	if e.Errno != unix.EHOSTUNREACH || e.Dst.String() != ep.DstToString() || e.From != netip.MustParseAddr("10.9.0.2") {
		t.Errorf("got %+v, want EHOSTUNREACH about %s, raised by ourselves, 10.9.0.2", e, ep.DstToString())
	}
}

func TestErrorsOfOurOwnAreReturned(t *testing.T) {
	host, _ := routed(t)
	host.run(t, `
		ip route add unreachable 10.70.0.0/24
		ip route add prohibit 10.71.0.0/24
		ip route add blackhole 10.72.0.0/24
		nft add table ip filter
		nft add chain ip filter output { type filter hook output priority 0 ; }
		nft add rule ip filter output ip daddr 10.73.0.0/24 drop
		ip link set lo down
		ip route del default`)
	n := host.node(t, Options{})
	for _, c := range []struct {
		dst  string
		want unix.Errno
	}{
		{"10.70.0.1", unix.EHOSTUNREACH},
		{"10.71.0.1", unix.EACCES},
		{"10.72.0.1", unix.EINVAL},
		{"10.74.0.1", unix.ENETUNREACH},
	} {
		err := n.Send(numbered(10, func(int) int { return 100 }), n.endpoint(t, c.dst, 1))
		if !errors.Is(err, c.want) {
			t.Errorf("send to %s: got %v, want %v", c.dst, err, c.want)
		}
	}
	host.run(t, "ip route add 10.73.0.0/24 via 10.9.0.1")
	if err := n.Send([][]byte{{1}}, n.endpoint(t, "10.73.0.1", 1)); !errors.Is(err, unix.EPERM) {
		t.Errorf("send into a dropping firewall: got %v, want EPERM", err)
	}
}

func TestMarkChoosesTheRoute(t *testing.T) {
	host, router := routed(t)
	host.run(t, `
		ip rule add fwmark 0x51 lookup 100
		ip -6 rule add fwmark 0x51 lookup 100
		ip route add prohibit default table 100
		ip -6 route add prohibit default table 100`)
	a, b := host.node(t, Options{}), router.node(t, Options{})
	for _, dst := range []string{"10.9.0.1", "fd09::1"} {
		ep := a.endpoint(t, dst, b.port)
		if err := a.SetMark(0x51); err != nil {
			t.Fatal(err)
		}
		if err := a.Send([][]byte{{1}}, ep); !errors.Is(err, unix.EACCES) {
			t.Errorf("marked, to %s: got %v, want EACCES", dst, err)
		}
		if err := a.SetMark(0); err != nil {
			t.Fatal(err)
		}
		a.mustSend(t, ep, []byte("unmarked"))
		b.expect(t, [][]byte{[]byte("unmarked")})
	}
}

// Joined packets must fit the link one by one; what does not must go out in
// fragments, as it would unjoined.
func TestPacketsLongerThanTheLinkGetThrough(t *testing.T) {
	host, router := routed(t)
	a, b := host.node(t, Options{}), router.node(t, Options{})
	for _, mtu := range []string{"1500", "1300"} {
		host.run(t, "ip link set veth0 mtu "+mtu)
		for _, dst := range []string{"10.9.0.1", "fd09::1"} {
			packets := numbered(128, func(i int) int { return 1400 + i%2 })
			a.mustSend(t, a.endpoint(t, dst, b.port), packets...)
			b.expect(t, packets)
		}
	}
	if a.Bind.(*Bind).open.Load().v4.refused.list.Load() != nil {
		t.Error("UDP_SEGMENT was given up from now on")
	}
}

func TestLinkLocalZones(t *testing.T) {
	host, router := routed(t)
	host.run(t, "ip address add fe80::a/64 dev veth0 nodad")
	router.run(t, "ip address add fe80::b/64 dev veth1 nodad")
	a, b := host.node(t, Options{}), router.node(t, Options{})
	// Names of interfaces are looked up by the calling thread.
	host.do(func() {
		ep := a.endpoint(t, "fe80::b%veth0", b.port)
		if err := a.Send([][]byte{[]byte("hello")}, ep); err != nil {
			t.Error(err)
		}
	})
	from := b.nextPacket(t).ep
	if got := from.DstIP().WithZone(""); got != netip.MustParseAddr("fe80::a") || from.DstIP().Zone() == "" {
		t.Fatalf("the packet came from %v, want fe80::a and a zone", from.DstIP())
	}
	b.mustSend(t, from, []byte("welcome"))
	a.expect(t, [][]byte{[]byte("welcome")})
}

func TestRouteChangeForgetsSources(t *testing.T) {
	host, router := routed(t)
	router.run(t, "ip address add 10.9.0.11/24 dev veth1")
	for _, change := range []string{
		"ip route add 10.80.0.0/24 via 10.9.0.2",
		"ip -6 route add fd80::/64 via fd09::2",
		"ip rule add fwmark 7 lookup 100",
		"ip -6 rule add fwmark 7 lookup 100",
		"ip address add 10.9.0.12/24 dev veth1",
		"ip -6 address add fd09::12/64 dev veth1 nodad",
		"ip link set veth1 mtu 1400",
	} {
		a, b := host.node(t, Options{}), router.node(t, Options{})
		to := a.endpoint(t, "10.9.0.11", b.port)
		// Earlier changes may have their echo.
		var ep *Endpoint
		within(t, "a source is learned", func() bool {
			a.mustSend(t, to, []byte("question"))
			ep = b.nextPacket(t).ep.(*Endpoint)
			return ep.SrcIP() == netip.MustParseAddr("10.9.0.11")
		})
		router.run(t, change)
		within(t, "after "+change+" the source is forgotten", func() bool { return !ep.SrcIP().IsValid() })
		b.mustSend(t, ep, []byte("answer"))
		if got := a.nextPacket(t).ep.DstIP(); got != netip.MustParseAddr("10.9.0.1") {
			t.Errorf("after %s: the answer came from %v, want the kernel's choice", change, got)
		}
	}
}

// When the error queue is all there is to poll (not even room to send), Go's
// poller takes the socket for broken. Reading must go on.
func TestErrorsArriveWhileTheSendBufferIsFull(t *testing.T) {
	host, _ := routed(t)
	a, b := host.node(t, Options{SocketBuffer: 4608}), host.node(t, Options{})
	// Held until ARP gives up, which takes seconds: more than half of the
	// send buffer, and it does not count as writable.
	stuck := a.endpoint(t, "10.9.0.77", 1)
	a.mustSend(t, stuck, make([]byte, 1000))
	a.mustSend(t, stuck, make([]byte, 1000))
	a.mustSend(t, stuck, make([]byte, 1000))
	a.mustSend(t, a.endpoint(t, "127.0.0.1", closedPort(t)), []byte{1})
	if e := a.nextICMP(t); e.Errno != unix.ECONNREFUSED {
		t.Errorf("got %v, want ECONNREFUSED", e)
	}
	b.mustSend(t, b.endpoint(t, "127.0.0.1", a.port), []byte("still there?"))
	a.expect(t, [][]byte{[]byte("still there?")})
}

// A socket with an error queue is told about packets that the interface's own
// queue refuses. They are lost like any others, so Send does not complain.
func TestFullInterfaceQueueIsCounted(t *testing.T) {
	host, _ := routed(t)
	// Packets that wait for a neighbour's address are not in that queue yet.
	host.run(t, `
		ping -q -c 1 10.9.0.1
		ping -q -c 1 fd09::1
		tc qdisc replace dev veth0 root tbf rate 8kbit burst 2000 limit 3000`)
	for _, noOffload := range []bool{true, false} {
		n := host.node(t, Options{DisableOffload: noOffload})
		for _, dst := range []string{"10.9.0.1", "fd09::1"} {
			before := n.Bind.(*Bind).QueueDrops()
			n.mustSend(t, n.endpoint(t, dst, 1), numbered(100, func(int) int { return 1000 })...)
			// A few fit into the queue. Joined packets count as refused only
			// if none of them does, so they come when it is full.
			if drops := n.Bind.(*Bind).QueueDrops() - before; drops < 30 || drops > 100 {
				t.Errorf("to %s, offload %v: counted %d drops of 100 packets", dst, !noOffload, drops)
			}
		}
	}
}
