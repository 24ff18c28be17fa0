//go:build linux

package netfilter

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// event is one trace message (enum nft_trace_attributes in
// linux/netfilter/nf_tables.h).
type event struct {
	id     uint32
	family uint8 // the table's
	table  string
	step   Step
	full   bool // it has headers: the first message of a base chain
	header Header
}

// Attributes of newer kernels (6.17), which unix does not know.
const (
	traceCTID        = 18
	traceCTDirection = 19
	traceCTState     = 21
)

// decodeEvent decodes the body of a trace message.
func decodeEvent(b []byte) (event, error) {
	var e event
	kind := uint32(0)
	policy, hasPolicy := uint32(0), false
	var network, transport []byte // the headers
	err := attributes(b, func(family uint8, ad *netlink.AttributeDecoder) error {
		e.family = family
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_TRACE_TABLE:
				e.table = ad.String()
			case unix.NFTA_TRACE_CHAIN:
				e.step.Chain = ad.String()
			case unix.NFTA_TRACE_RULE_HANDLE:
				e.step.Handle = ad.Uint64()
			case unix.NFTA_TRACE_TYPE:
				kind = ad.Uint32()
			case unix.NFTA_TRACE_VERDICT:
				ad.Nested(e.step.Verdict.decode)
			case unix.NFTA_TRACE_ID:
				e.id = ad.Uint32()
			case unix.NFTA_TRACE_NETWORK_HEADER:
				network, e.full = ad.Bytes(), true
			case unix.NFTA_TRACE_TRANSPORT_HEADER:
				transport = ad.Bytes()
			case unix.NFTA_TRACE_IIF:
				e.header.In = ad.Uint32()
			case unix.NFTA_TRACE_OIF:
				e.header.Out = ad.Uint32()
			case unix.NFTA_TRACE_MARK:
				e.step.Mark = ad.Uint32()
			case unix.NFTA_TRACE_POLICY:
				policy, hasPolicy = ad.Uint32(), true
			case traceCTID:
				e.header.Conntrack.ID = ad.Uint32()
			case traceCTDirection:
				e.header.Conntrack.Reply = ad.Uint8() == 1
			case traceCTState:
				e.header.Conntrack.State, e.header.Conntrack.Known = State(ad.Uint32()), true
			}
		}
		return nil
	})
	e.step.Kind = EndStep
	switch {
	case kind == unix.NFT_TRACETYPE_RULE && e.step.Handle != 0:
		e.step.Kind = RuleStep
	case kind == unix.NFT_TRACETYPE_POLICY:
		e.step.Kind = PolicyStep
		if hasPolicy {
			e.step.Verdict = Verdict{Action: standard(policy)}
		}
	}
	if e.full {
		e.header.Mark = e.step.Mark
		e.header.decode(network, transport)
	}
	return e, err
}

func (v *Verdict) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_VERDICT_CODE:
			code := ad.Uint32()
			switch int32(code) {
			case unix.NFT_CONTINUE, unix.NFT_BREAK:
				v.Action = Continue
			case unix.NFT_JUMP:
				v.Action = Jump
			case unix.NFT_GOTO:
				v.Action = Goto
			case unix.NFT_RETURN:
				v.Action = Return
			default:
				if v.Action = standard(code); v.Action == Queue {
					v.Queue = uint16(code >> 16)
				}
			}
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = ad.String()
		}
	}
	return nil
}

// standard translates a verdict of linux/netfilter.h: its low byte is the
// kind, the rest is an argument.
func standard(code uint32) Action {
	switch code & 0xff {
	case 0:
		return Drop
	case 1:
		return Accept
	case 2:
		return Stolen
	case 3:
		return Queue
	case 4, 5: // repeat and stop, which are no more
		return Accept
	}
	return ActionUnknown
}

// decode reads the headers of IP and of what follows. What is cut short stays
// zero.
func (h *Header) decode(network, transport []byte) {
	be := binary.BigEndian
	switch {
	case len(network) >= 20 && network[0]>>4 == 4:
		h.Length = be.Uint16(network[2:])
		h.Fragment = be.Uint16(network[6:])&0x3fff != 0 // more fragments, or an offset
		h.TTL, h.Proto = network[8], network[9]
		h.Src = netip.AddrFrom4([4]byte(network[12:16]))
		h.Dst = netip.AddrFrom4([4]byte(network[16:20]))
	case len(network) >= 40 && network[0]>>4 == 6:
		h.Length = be.Uint16(network[4:]) + 40
		h.Proto, h.TTL = network[6], network[7]
		h.Fragment = h.Proto == unix.IPPROTO_FRAGMENT
		h.Src = netip.AddrFrom16([16]byte(network[8:24]))
		h.Dst = netip.AddrFrom16([16]byte(network[24:40]))
	default:
		return
	}
	switch h.Proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP:
		if len(transport) >= 4 {
			h.SrcPort, h.DstPort = be.Uint16(transport), be.Uint16(transport[2:])
		}
		switch {
		case h.Proto == unix.IPPROTO_TCP && len(transport) >= 14:
			h.TCPFlags = transport[13]
		case h.Proto == unix.IPPROTO_UDP && len(transport) > 8:
			copy(h.Data[:], transport[8:])
		}
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		if len(transport) >= 2 {
			h.ICMPType, h.ICMPCode = transport[0], transport[1]
		}
		if len(transport) >= 6 && h.echo() {
			h.ICMPID = be.Uint16(transport[4:])
		}
	}
}

func (h *Header) echo() bool {
	if h.Proto == unix.IPPROTO_ICMP {
		return h.ICMPType == icmpEcho || h.ICMPType == icmpEchoReply
	}
	return h.ICMPType == icmp6Echo || h.ICMPType == icmp6EchoReply
}
