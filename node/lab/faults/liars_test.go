//go:build linux

package faults

import (
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe"
)

var faultForged = flag.Bool("faults.forged", false, "ask while others send forged messages and ICMP errors")

// liars send what anybody can send who knows the ends of the tunnel, and no secret of it: to
// each end, in the other's name, messages of every type with random contents, and ICMP errors
// that quote no more than the headers. They come from R. It returns
// what ends them.
func (s *site) liars() (stop func()) {
	a, r, h := netip.MustParseAddr(s.IP(s.Addr.A)), netip.MustParseAddr(s.IP(s.Addr.RWan)), netip.MustParseAddr(s.IP(s.Addr.HWan))
	// H knows A by R's address, where R translates.
	at, peer := netip.AddrPortFrom(a, 51821), netip.AddrPortFrom(h, 51820)
	seen := netip.AddrPortFrom(r, 51821)
	var forged [][]byte
	for kind, length := range map[byte]int{probe.TypeInitiation: probe.LenInitiation, probe.TypeResponse: probe.LenResponse,
		probe.TypeCookie: probe.LenCookie, probe.TypeData: 96} {
		msg := make([]byte, length)
		rand.Read(msg)
		copy(msg, []byte{kind, 0, 0, 0})
		forged = append(forged, datagram(peer, at, msg), datagram(seen, peer, msg))
	}
	for _, e := range []struct{ kind4, code4, kind6, code6 byte }{{3, 13, 1, 1}, {3, 3, 1, 4}, {3, 1, 1, 3}} {
		for _, from := range []netip.Addr{r, h} {
			forged = append(forged, icmpError(from, at, peer, e.kind4, e.code4, e.kind6, e.code6))
		}
		forged = append(forged, icmpError(r, peer, seen, e.kind4, e.code4, e.kind6, e.code6))
	}
	return s.forge(forged...)
}

// forge has R send packets ten times a second. R takes no notice of them itself: it translates
// what others send, and what it had seen come would not be new. It returns what ends that.
func (s *site) forge(packets ...[]byte) (stop func()) {
	s.R.RunInput(fmt.Sprintf("table inet liars {\nchain c {\ntype filter hook output priority -300\nmeta mark %d notrack\n}\n}\n", forgedMark),
		"nft", "-f", "-")
	fd, err := rawSocket(s.R, s.V6)
	if err != nil {
		s.T.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			for _, p := range packets {
				_ = unix.Sendto(fd, p, 0, destination(p)) // not all of them can leave on each site
			}
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		_ = unix.Close(fd)
	}
}

// forgedMark is the firewall mark of what is forged.
const forgedMark = 0x1a5

// rawSocket is one that sends packets with headers of our own.
func rawSocket(h *lab.Host, v6 bool) (fd int, err error) {
	err = h.Do(func() error {
		family := unix.AF_INET
		if v6 {
			family = unix.AF_INET6
		}
		fd, err = unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
		if err != nil {
			return fmt.Errorf("open a raw socket: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, forgedMark); err != nil {
			return fmt.Errorf("mark a raw socket: %w", err)
		}
		return nil
	})
	return fd, err
}

// destination is where a packet goes.
func destination(p []byte) unix.Sockaddr {
	if p[0]>>4 == 4 {
		return &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}
	}
	return &unix.SockaddrInet6{Addr: [16]byte(p[24:40])}
}

// datagram is a UDP packet with its headers.
func datagram(src, dst netip.AddrPort, content []byte) []byte {
	udp := make([]byte, 8, 8+len(content))
	binary.BigEndian.PutUint16(udp[0:], src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(content)))
	udp = append(udp, content...)
	binary.BigEndian.PutUint16(udp[6:], checksum(pseudo(src.Addr(), dst.Addr(), probe.ProtoUDP, len(udp)), udp))
	return append(ipHeader(src.Addr(), dst.Addr(), probe.ProtoUDP, len(udp)), udp...)
}

// icmpError is an ICMP error to the sender of a datagram, that quotes its headers alone.
func icmpError(from netip.Addr, sender, to netip.AddrPort, kind4, code4, kind6, code6 byte) []byte {
	quoted := make([]byte, probe.LenInitiation)
	quoted = datagram(sender, to, quoted)
	header, proto, kind, code := 20+8, uint8(probe.ProtoICMP), kind4, code4
	if sender.Addr().Is6() {
		header, proto, kind, code = 40+8, uint8(probe.ProtoICMPv6), kind6, code6
	}
	msg := append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, quoted[:header]...)
	var over []byte
	if sender.Addr().Is6() {
		over = pseudo(from, sender.Addr(), proto, len(msg))
	}
	binary.BigEndian.PutUint16(msg[2:], checksum(over, msg))
	return append(ipHeader(from, sender.Addr(), proto, len(msg)), msg...)
}

func ipHeader(src, dst netip.Addr, proto uint8, length int) []byte {
	if src.Is6() {
		ip := make([]byte, 8, 40)
		ip[0], ip[6], ip[7] = 0x60, proto, 60
		binary.BigEndian.PutUint16(ip[4:], uint16(length))
		return append(append(ip, src.AsSlice()...), dst.AsSlice()...)
	}
	ip := make([]byte, 12, 20)
	ip[0], ip[8], ip[9] = 0x45, 60, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
	ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], checksum(nil, ip))
	return ip
}

// pseudo is the header that the checksums of UDP and ICMPv6 are over, too.
func pseudo(src, dst netip.Addr, proto uint8, length int) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	return append(b, 0, proto, byte(length>>8), byte(length))
}

func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for i, v := range b {
			if i%2 == 0 {
				sum += uint32(v) << 8
			} else {
				sum += uint32(v)
			}
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
