package tunnel

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/probe"
)

const (
	// The kernel lets through 1000 ICMP errors a second to all together
	// (net.ipv4.icmp_msgs_per_sec); a tunnel needs far fewer to be heard.
	icmpPerSecond = 100
	icmpBurst     = 50
	icmpQueue     = 64

	icmp4Quote = 20 + 8 + 548 // whole error at most 576 bytes (RFC 1812, 4.3.2.3)
	icmp6Quote = 1280 - 40 - 8
)

// refuser answers packets that can not be sent with ICMP destination
// unreachable, so that programs fail at once instead of waiting: host
// unreachable for IPv4, address unreachable for IPv6, as the kernel's
// WireGuard does (drivers/net/wireguard/device.c, wg_xmit). The error comes
// from the address that could not be reached, because the kernel takes no
// packet from outside that bears its own source address.
type refuser struct {
	tun   tun.Device
	limit *rate.Limiter
	queue chan []byte
}

func newRefuser(dev tun.Device) *refuser {
	return &refuser{tun: dev, limit: rate.NewLimiter(icmpPerSecond, icmpBurst), queue: make(chan []byte, icmpQueue)}
}

// refuse answers pkt, if it is one that may be answered and the limits allow.
// It copies what it needs.
func (r *refuser) refuse(pkt []byte) {
	if !answerable(pkt) || !r.limit.Allow() {
		return
	}
	msg := unreachable(pkt)
	select {
	case r.queue <- msg:
	default:
	}
}

// run writes the answers until done is closed. It has a goroutine of its own:
// the one that reads the TUN device must not wait for one that writes to it.
func (r *refuser) run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case msg := <-r.queue:
			// Not delivered is no worse than not sent: as ICMP always is.
			_, _ = r.tun.Write([][]byte{msg}, headroom)
		}
	}
}

// answerable reports whether an ICMP error may be sent about pkt: not about an
// ICMP error, a later fragment, or to or from an address that is not one
// host's (RFC 1122, 3.2.2; RFC 4443, 2.4).
func answerable(pkt []byte) bool {
	var src, dst netip.Addr
	switch {
	case len(pkt) >= 20 && pkt[0]>>4 == 4:
		src, dst = netip.AddrFrom4([4]byte(pkt[12:16])), netip.AddrFrom4([4]byte(pkt[16:20]))
		if binary.BigEndian.Uint16(pkt[6:])&0x1fff != 0 || dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return false
		}
		hlen := int(pkt[0]&0x0f) * 4
		if pkt[9] == 1 && (len(pkt) <= hlen || pkt[hlen] != 8 && pkt[hlen] != 0) {
			return false
		}
	case len(pkt) >= 40 && pkt[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(pkt[8:24])), netip.AddrFrom16([16]byte(pkt[24:40]))
		if pkt[6] == 58 && (len(pkt) <= 40 || pkt[40] < 128) {
			return false
		}
	default:
		return false
	}
	return !dst.IsMulticast() && !src.IsMulticast() && !src.IsUnspecified() && !src.IsLoopback()
}

// unreachable returns a buffer with an ICMP error about pkt at headroom.
func unreachable(pkt []byte) []byte {
	if pkt[0]>>4 == 4 {
		quote := pkt[:min(len(pkt), icmp4Quote-28)]
		b := make([]byte, headroom+28+len(quote))
		ip, icmp := b[headroom:headroom+20], b[headroom+20:]
		ip[0], ip[1] = 0x45, 0xc0 // internetwork control, as the kernel's ICMP errors
		binary.BigEndian.PutUint16(ip[2:], uint16(28+len(quote)))
		ip[8], ip[9] = 64, 1
		copy(ip[12:], pkt[16:20])
		copy(ip[16:], pkt[12:16])
		binary.BigEndian.PutUint16(ip[10:], probe.Checksum(ip))
		icmp[0], icmp[1] = 3, 1
		copy(icmp[8:], quote)
		binary.BigEndian.PutUint16(icmp[2:], probe.Checksum(icmp))
		return b
	}
	quote := pkt[:min(len(pkt), icmp6Quote)]
	b := make([]byte, headroom+48+len(quote))
	ip, icmp := b[headroom:headroom+40], b[headroom+40:]
	ip[0] = 0x60
	binary.BigEndian.PutUint16(ip[4:], uint16(8+len(quote)))
	ip[6], ip[7] = 58, 64
	copy(ip[8:], pkt[24:40])
	copy(ip[24:], pkt[8:24])
	icmp[0], icmp[1] = 1, 3
	copy(icmp[8:], quote)
	pseudo := []byte{0, 0, byte(len(icmp) >> 8), byte(len(icmp)), 0, 0, 0, 58} // behind the addresses
	binary.BigEndian.PutUint16(icmp[2:], probe.Checksum(ip[8:40], pseudo, icmp))
	return b
}
