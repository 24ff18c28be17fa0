// Package refuse answers packets that a tunnel cannot take, with ICMP.
//
// A [Refuser] is told of each by the seam that drops it; it copies what it needs, and a
// goroutine of its own sends as many answers as there may be. The host sends them, from an
// address of its own, or else they come out of the tunnel.
package refuse

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/tag"
)

const (
	// The kernel lets through 1000 ICMP errors a second to all together
	// (net.ipv4.icmp_msgs_per_sec); a tunnel needs far fewer to be heard.
	icmpPerSecond = 100
	icmpBurst     = 50
	icmpQueue     = 64

	icmp4Quote = 20 + 8 + 548 // whole error at most 576 bytes (RFC 1812, 4.3.2.3)
	icmp6Quote = 1280 - 40 - 8

	icmpExtension = 12 // what the reason takes of that
)

// Refuser answers packets that cannot be sent with ICMP destination
// unreachable, so that programs fail at once instead of waiting: host
// unreachable for IPv4, address unreachable for IPv6, as the kernel's
// WireGuard does (drivers/net/wireguard/device.c, wg_xmit). They say that it is
// the node that says so, and why: see [probe.AppendNodeSays].
type Refuser struct {
	tun   tun.Device
	send  func(to netip.Addr, message []byte) error // nil: see New
	limit *rate.Limiter
	queue chan refusal
}

// refusal is a message of ICMP, with 8 bytes of header, and source and destination of the
// packet that it answers.
type refusal struct {
	message  []byte
	src, dst netip.Addr
}

// New returns a refuser for what dev reads. send has the host send a message of ICMP, or of
// ICMPv6 without its checksum; where it fails or is nil, the message comes out of dev.
func New(dev tun.Device, send func(netip.Addr, []byte) error) *Refuser {
	return &Refuser{tun: dev, send: send, limit: rate.NewLimiter(icmpPerSecond, icmpBurst), queue: make(chan refusal, icmpQueue)}
}

// Refuse answers pkt, if it is one that may be answered and the limits allow.
// It copies what it needs.
func (r *Refuser) Refuse(pkt []byte, why probe.Reason) {
	if !answerable(pkt) || !r.limit.Allow() {
		return
	}
	src, dst := ends(pkt)
	select {
	case r.queue <- refusal{unreachable(pkt, why), src, dst}:
	default:
	}
}

// Run sends the answers until done is closed. It has a goroutine of its own:
// the one that reads the TUN device must not wait for one that writes to it.
func (r *Refuser) Run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case a := <-r.queue:
			r.answer(a)
		}
	}
}

// answer has the host send the message, from an address of its own. Where it cannot, the
// message comes out of the tunnel from the address that could not be reached, because the
// kernel takes no packet from outside that bears its own source address.
func (r *Refuser) answer(a refusal) {
	if r.send != nil && r.send(a.src, a.message) == nil {
		return
	}
	// Not delivered is no worse than not sent: as ICMP always is.
	_, _ = r.tun.Write([][]byte{Outside(a.dst, a.src, a.message)}, tag.Headroom)
}

// answerable reports whether an ICMP error may be sent about pkt: not about an
// ICMP error, a later fragment, or to or from an address that is not one
// host's (RFC 1122, 3.2.2; RFC 4443, 2.4).
func answerable(pkt []byte) bool {
	switch {
	case len(pkt) >= 20 && pkt[0]>>4 == 4:
		if binary.BigEndian.Uint16(pkt[6:])&0x1fff != 0 || [4]byte(pkt[16:20]) == [4]byte{255, 255, 255, 255} {
			return false
		}
		hlen := int(pkt[0]&0x0f) * 4
		if pkt[9] == 1 && (len(pkt) <= hlen || pkt[hlen] != 8 && pkt[hlen] != 0) {
			return false
		}
	case len(pkt) >= 40 && pkt[0]>>4 == 6:
		if pkt[6] == 58 && (len(pkt) <= 40 || pkt[40] < 128) {
			return false
		}
	default:
		return false
	}
	src, dst := ends(pkt)
	return !dst.IsMulticast() && !src.IsMulticast() && !src.IsUnspecified() && !src.IsLoopback()
}

// ends are source and destination of a packet, which has a whole header.
func ends(pkt []byte) (src, dst netip.Addr) {
	if pkt[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(pkt[12:16])), netip.AddrFrom4([4]byte(pkt[16:20]))
	}
	return netip.AddrFrom16([16]byte(pkt[8:24])), netip.AddrFrom16([16]byte(pkt[24:40]))
}

// unreachable returns an ICMP error about pkt, which was dropped for that reason: from the
// header of ICMP on. An IPv6 one lacks its checksum, which has addresses in it.
func unreachable(pkt []byte, why probe.Reason) []byte {
	head := make([]byte, 8, icmp6Quote+8)
	if pkt[0]>>4 == 4 {
		head[0], head[1] = 3, 1
		m := probe.AppendNodeSays(head, pkt, false, why, icmp4Quote-28-icmpExtension)
		binary.BigEndian.PutUint16(m[2:], probe.Checksum(m))
		return m
	}
	head[0], head[1] = 1, 3
	return probe.AppendNodeSays(head, pkt, true, why, icmp6Quote-icmpExtension)
}

// Outside returns a buffer with an ICMP message in a packet from src to dst at tag.Headroom.
func Outside(src, dst netip.Addr, message []byte) []byte {
	if src.Is4() {
		b := make([]byte, tag.Headroom+20+len(message))
		ip := b[tag.Headroom : tag.Headroom+20]
		ip[0], ip[1] = 0x45, 0xc0 // internetwork control, as the kernel's ICMP errors
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(message)))
		ip[8], ip[9] = 64, 1
		copy(ip[12:], src.AsSlice())
		copy(ip[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], probe.Checksum(ip))
		copy(b[tag.Headroom+20:], message)
		return b
	}
	b := make([]byte, tag.Headroom+40+len(message))
	ip, icmp := b[tag.Headroom:tag.Headroom+40], b[tag.Headroom+40:]
	ip[0] = 0x60
	binary.BigEndian.PutUint16(ip[4:], uint16(len(message)))
	ip[6], ip[7] = 58, 64
	copy(ip[8:], src.AsSlice())
	copy(ip[24:], dst.AsSlice())
	copy(icmp, message)
	pseudo := []byte{0, 0, byte(len(icmp) >> 8), byte(len(icmp)), 0, 0, 0, 58} // behind the addresses
	binary.BigEndian.PutUint16(icmp[2:], probe.Checksum(ip[8:40], pseudo, icmp))
	return b
}
