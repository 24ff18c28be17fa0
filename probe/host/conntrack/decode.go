//go:build linux

package conntrack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
)

// Attributes of linux/netfilter/nfnetlink_conntrack.h: enum ctattr_type,
// ctattr_tuple, ctattr_ip, ctattr_l4proto, ctattr_protoinfo,
// ctattr_protoinfo_tcp and ctattr_counters.
const (
	ctaTupleOrig, ctaTupleReply, ctaStatus, ctaProtoinfo = 1, 2, 3, 4
	ctaTimeout, ctaMark, ctaCountersOrig, ctaCountersRep = 7, 8, 9, 10
	ctaID, ctaZone                                       = 12, 18

	tupleIP, tupleProto = 1, 2

	ipV4Src, ipV4Dst, ipV6Src, ipV6Dst = 1, 2, 3, 4

	protoNum, protoSrcPort, protoDstPort         = 1, 2, 3
	protoICMPID, protoICMPType, protoICMPCode    = 4, 5, 6
	protoICMP6ID, protoICMP6Type, protoICMP6Code = 7, 8, 9

	protoinfoTCP, tcpState = 1, 1

	countPackets, countBytes = 1, 2
)

// tcpStates are those of enum tcp_conntrack
// (linux/netfilter/nf_conntrack_tcp.h).
var tcpStates = []string{"none", "syn-sent", "syn-received", "established", "fin-wait", "close-wait", "last-ack",
	"time-wait", "close", "syn-sent2"}

// decode reads the body of a message about an entry.
func decode(b []byte) (Entry, error) {
	var e Entry
	if len(b) < nfgenmsg {
		return e, fmt.Errorf("message of %d bytes", len(b))
	}
	ad, err := netlink.NewAttributeDecoder(b[nfgenmsg:])
	if err != nil {
		return e, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case ctaTupleOrig:
			ad.Nested(e.Original.decode)
		case ctaTupleReply:
			ad.Nested(e.Reply.decode)
		case ctaStatus:
			e.Status = Status(ad.Uint32())
		case ctaTimeout:
			e.Timeout = time.Duration(ad.Uint32()) * time.Second
		case ctaMark:
			e.Mark = ad.Uint32()
		case ctaID:
			e.ID = ad.Uint32()
		case ctaZone:
			e.Zone = ad.Uint16()
		case ctaCountersOrig:
			ad.Nested(e.Sent.decode)
		case ctaCountersRep:
			ad.Nested(e.Received.decode)
		case ctaProtoinfo:
			ad.Nested(e.decodeProtoinfo)
		}
	}
	return e, ad.Err()
}

func (e *Entry) decodeProtoinfo(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() != protoinfoTCP {
			continue
		}
		ad.Nested(func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == tcpState {
					if s := int(ad.Uint8()); s < len(tcpStates) {
						e.TCP = tcpStates[s]
					}
				}
			}
			return nil
		})
	}
	return nil
}

func (c *Count) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case countPackets:
			c.Packets = ad.Uint64()
		case countBytes:
			c.Bytes = ad.Uint64()
		}
	}
	return nil
}

func (t *Tuple) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case tupleIP:
			ad.Nested(t.decodeIP)
		case tupleProto:
			ad.Nested(t.decodeProto)
		}
	}
	return nil
}

func (t *Tuple) decodeIP(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		a, ok := netip.AddrFromSlice(ad.Bytes())
		switch ad.Type() {
		case ipV4Src, ipV6Src:
			t.Src = a
		case ipV4Dst, ipV6Dst:
			t.Dst = a
		default:
			continue
		}
		if !ok {
			return fmt.Errorf("address of %d bytes", ad.Len())
		}
	}
	return nil
}

func (t *Tuple) decodeProto(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case protoNum:
			t.Proto = ad.Uint8()
		case protoSrcPort:
			t.SrcPort = ad.Uint16()
		case protoDstPort:
			t.DstPort = ad.Uint16()
		case protoICMPID, protoICMP6ID:
			t.ICMPID = ad.Uint16()
		case protoICMPType, protoICMP6Type:
			t.ICMPType = ad.Uint8()
		case protoICMPCode, protoICMP6Code:
			t.ICMPCode = ad.Uint8()
		}
	}
	return nil
}

// encode writes a tuple as the kernel wants it for a lookup.
func (t Tuple) encode(ae *netlink.AttributeEncoder) error {
	ae.Nested(tupleIP, func(ae *netlink.AttributeEncoder) error {
		src, dst := uint16(ipV6Src), uint16(ipV6Dst)
		if t.Dst.Is4() {
			src, dst = ipV4Src, ipV4Dst
		}
		ae.Bytes(src, t.Src.AsSlice())
		ae.Bytes(dst, t.Dst.AsSlice())
		return nil
	})
	ae.Nested(tupleProto, func(ae *netlink.AttributeEncoder) error {
		ae.Uint8(protoNum, t.Proto)
		if !t.isICMP() {
			ae.Uint16(protoSrcPort, t.SrcPort)
			ae.Uint16(protoDstPort, t.DstPort)
			return nil
		}
		id, kind, code := uint16(protoICMP6ID), uint16(protoICMP6Type), uint16(protoICMP6Code)
		if t.Dst.Is4() {
			id, kind, code = protoICMPID, protoICMPType, protoICMPCode
		}
		ae.Uint16(id, t.ICMPID)
		ae.Uint8(kind, t.ICMPType)
		ae.Uint8(code, t.ICMPCode)
		return nil
	})
	return nil
}
