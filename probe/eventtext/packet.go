package eventtext

import (
	"strconv"

	"github.com/wgnode/wgnode/probe"
)

// ProtoName names an IP protocol: those that people know by name, the others
// by number.
func ProtoName(p uint8) string {
	switch p {
	case probe.ProtoTCP:
		return "tcp"
	case probe.ProtoUDP:
		return "udp"
	case probe.ProtoICMP:
		return "icmp"
	case probe.ProtoICMPv6:
		return "icmp6"
	}
	return strconv.Itoa(int(p))
}

// icmpNames are the types that occur in a tunnel (IANA icmp-parameters and
// icmpv6-parameters).
var (
	icmpNames = map[uint8]string{0: "echo-reply", 3: "unreachable", 5: "redirect",
		8: "echo-request", 11: "time-exceeded", 12: "parameter-problem"}
	icmp6Names = map[uint8]string{1: "unreachable", 2: "packet-too-big", 3: "time-exceeded",
		4: "parameter-problem", 128: "echo-request", 129: "echo-reply",
		133: "router-solicitation", 134: "router-advertisement",
		135: "neighbor-solicitation", 136: "neighbor-advertisement", 137: "redirect"}
)

func icmpName(proto, typ uint8) string {
	names := icmpNames
	if proto == probe.ProtoICMPv6 {
		names = icmp6Names
	}
	if n, ok := names[typ]; ok {
		return n
	}
	return "type-" + strconv.Itoa(int(typ))
}

// whole reports whether the transport header was there to be read.
func whole(e *probe.Event) bool {
	return e.Flags&(probe.FlagFragment|probe.FlagTruncated) == 0 && e.HasAddrs()
}

func hasPorts(e *probe.Event) bool {
	return (e.Proto == probe.ProtoTCP || e.Proto == probe.ProtoUDP) && whole(e)
}

// tcpFlags writes the flags as tcpdump does: a dot is an acknowledgement.
func tcpFlags(flags uint8) string {
	const letters = "FSRP.UEW" // from the lowest bit
	var b [len(letters)]byte
	n := 0
	for i := range letters {
		if flags>>i&1 != 0 {
			b[n] = letters[i]
			n++
		}
	}
	if n == 0 {
		return "none"
	}
	return string(b[:n])
}
