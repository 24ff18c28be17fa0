package drops

import "strings"

// proof are the reasons that prove that a packet is lost, with the functions that they
// prove it of: others use the same reason for what is no loss. A kernel of another
// release may have other functions; what comes from there is a hint.
var proof = map[string][]string{
	"NETFILTER_DROP":    {"nf_hook_slow", "nf_hook_slow_list", "nft_do_chain", "nf_hook"},
	"TC_EGRESS":         {"__dev_queue_xmit", "sch_handle_egress"},
	"TC_INGRESS":        {"__netif_receive_skb_core", "sch_handle_ingress"},
	"BPF_CGROUP_EGRESS": {"ip_finish_output", "ip6_finish_output", "ip_mc_finish_output"},
	"SOCKET_FILTER": {"udp_queue_rcv_one_skb", "udpv6_queue_rcv_one_skb", "tcp_v4_rcv", "tcp_v6_rcv", "sk_filter_trim_cap",
		"tcp_filter"},
	"SOCKET_RCVBUFF": {"udp_queue_rcv_one_skb", "udpv6_queue_rcv_one_skb", "__udp_enqueue_schedule_skb", "__udp_queue_rcv_skb",
		"__udpv6_queue_rcv_skb"},
	"UDP_CSUM":        {"__udp4_lib_rcv", "__udp6_lib_rcv", "udp_queue_rcv_one_skb", "udpv6_queue_rcv_one_skb"},
	"TCP_CSUM":        {"tcp_v4_rcv", "tcp_v6_rcv", "tcp_v4_do_rcv", "tcp_v6_do_rcv"},
	"IP_CSUM":         {"ip_rcv_core"},
	"QDISC_DROP":      {"__dev_queue_xmit", "__dev_xmit_skb", "tun_net_xmit", "net_tx_action", "__qdisc_run", "dev_qdisc_enqueue"},
	"FULL_RING":       {"tun_net_xmit"},
	"XFRM_POLICY":     {"ip_forward", "ip6_forward", "udp_queue_rcv_one_skb", "udpv6_queue_rcv_one_skb", "tcp_v4_rcv", "tcp_v6_rcv"},
	"IPV6DISABLED":    {"ip6_rcv_core"},
	"IP_RPFILTER":     {"ip_rcv_finish_core"},
	"IP_LOCAL_SOURCE": {"ip_rcv_finish_core"},
	"IP_INHDR":        {"ip_forward", "ip6_forward"},
	"IP_INADDRERRORS": {"ip_error", "ip6_forward"},
	"IP_INNOROUTES":   {"ip_error", "ip6_pkt_discard", "ip6_pkt_prohibit"},
	"NEIGH_FAILED":    {"neigh_invalidate"}, // it has waited for a neighbor that does not answer
	// Without a reason of its own, by the place alone.
	"NOT_SPECIFIED": {"veth_xdp_rcv_skb", "do_xdp_generic", "generic_xdp_tx", "nf_queue", "__nf_queue", "nf_hook_slow",
		"ip_error", "dst_discard_out", "dst_discard", "__dev_forward_skb2"},
}

// Proves reports whether the kernel's reason, at that place, proves that the packet is
// lost.
func (d *Drop) Proves() bool {
	for _, place := range proof[d.Reason] {
		if d.Place == place {
			return true
		}
	}
	return false
}

// noise are reasons for what happens to packets of connections that work: the kernel drops
// copies, what it has twice, and what a socket that closes has not read.
var noise = map[string][]string{
	"NO_SOCKET":     {"ping_rcv"},
	"SOCKET_FILTER": {"raw_rcv", "raw_local_deliver", "rawv6_rcv", "packet_rcv", "tpacket_rcv"},
	// Questions about routes, this program's own too, look like packets. TCP's entry drops what
	// comes late for a connection that is over, and gives all else that it drops a reason; where a
	// connection is half closed it drops acknowledgments once it has taken them in. That of ICMPv6 drops each
	// message that it is done with (seen on 6.1).
	"NOT_SPECIFIED": {"ip6_mc_input", "inet_rtm_getroute", "inet6_rtm_getroute", "tcp_v4_rcv", "tcp_v6_rcv", "tcp_rcv_state_process",
		"icmpv6_rcv"},
	"TCP_OLD_DATA": nil, "TCP_OLD_SEQUENCE": nil, "TCP_OFO_DROP": nil, "TCP_OFOMERGE": nil, "TCP_ACK_UNSENT_DATA": nil,
	"TCP_OLD_ACK": nil, "TCP_RFC7323_PAWS_ACK": nil, "DUP_FRAG": nil,
	"QUEUE_PURGE": nil, "CONSUMED": nil, "SOCKET_CLOSE": nil, "TCP_CLOSE": nil,
}

// Noise reports whether such a drop is a part of connections that work, and says nothing.
func (d *Drop) Noise() bool {
	places, known := noise[d.Reason]
	if !known {
		return false
	}
	for _, place := range places {
		if d.Place == place {
			return true
		}
	}
	return places == nil
}

// usual are the reasons for which TCP drops packets of connections that work: where something was
// slow, or was sent twice, and where a connection before had the same ports. TCP says what it expects,
// and goes on. Of a connection that does not work they may be the cause.
var usual = map[string]bool{
	"TCP_INVALID_SYN":  true,                                                         // a copy of the first segment, or of its answer
	"TCP_RFC7323_PAWS": true, "TCP_RFC7323_TW_PAWS": true, "TCP_RFC7323_TSECR": true, // older than what came before it
	"TCP_INVALID_SEQUENCE": true, "TCP_INVALID_END_SEQUENCE": true, "TCP_INVALID_ACK_SEQUENCE": true, "TCP_TOO_OLD_ACK": true,
	"TCP_RESET": true, "TCP_FLAGS": true, "TCP_FASTOPEN": true,
	"TCP_ZEROWINDOW": true, "TCP_OVERWINDOW": true, // the program does not read as fast as the other end sends
	"TCP_ABORT_ON_DATA": true, // it has closed, and does not read any more
}

// Usual reports whether packets of connections that work are dropped like that, too, and it says
// something only where one does not work.
func (d *Drop) Usual() bool {
	if d.Reason == "NO_SOCKET" && (d.Place == "tcp_v4_rcv" || d.Place == "tcp_v6_rcv") {
		return !d.begins() // it is of a connection that has ended
	}
	return usual[d.Reason]
}

// begins reports whether it is the first segment of a connection, as far as that is known.
func (d *Drop) begins() bool {
	const flags, syn, ack = 13, 0x02, 0x10 // of the header of TCP
	at := flags + int(d.Header[0]&0x0f)*4
	if d.Header[0]>>4 == 6 {
		at = flags + 40
	}
	return at >= len(d.Header) || d.Header[at]&(syn|ack) == syn
}

// hooks are the functions in which a packet is on a part of its path, the innermost that
// is on the stack counts.
var hooks = map[string]string{
	"__netif_receive_skb_core": "ingress", "veth_xdp_rcv_skb": "ingress", "do_xdp_generic": "ingress", "nf_ingress": "ingress",
	"ip_rcv": "prerouting", "ipv6_rcv": "prerouting", "ip_list_rcv": "prerouting", "ipv6_list_rcv": "prerouting",
	"ip_rcv_finish":    "prerouting",
	"ip_local_deliver": "input", "ip6_input": "input", "ip_local_deliver_finish": "input", "ip6_input_finish": "input",
	"ip_forward": "forward", "ip6_forward": "forward",
	"__ip_local_out": "output", "__ip6_local_out": "output", "ip_local_out": "output", "ip6_local_out": "output", "ip6_xmit": "output",
	"ip_output": "postrouting", "ip6_output": "postrouting", "ip_finish_output": "postrouting", "ip6_finish_output": "postrouting",
	"__dev_queue_xmit": "egress",
}

// Hook is the part of the path that the packet was on: "ingress", "prerouting", "input",
// "forward", "output", "postrouting", "egress", or "" if the stack does not tell.
func (d *Drop) Hook() string {
	for _, f := range append([]string{d.Place}, d.Stack...) {
		if hook, ok := hooks[f]; ok {
			return hook
		}
	}
	return ""
}

// plain is the name of a function without what compilers add to it: ".isra.0".
func plain(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return name
}
