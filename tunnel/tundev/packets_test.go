package tundev

import (
	"encoding/binary"
	"math/rand/v2"
)

// spec describes a packet, of which the checksums and lengths follow.
type spec struct {
	v6, udp  bool
	flow     byte // in addresses and ports
	tos      byte
	ttl      byte
	df       bool
	id       uint16
	label    uint32 // IPv6 flow label
	ext      []byte // IPv6 extension headers, the first being destination options
	fragment uint16 // IPv4 flags and offset, IPv6 a fragment header, if not 0

	seq, ack uint32
	flags    byte
	window   uint16
	options  []byte // of TCP; a multiple of 4

	payload []byte
	corrupt int // 1: transport checksum, 2: IPv4 header checksum, 3: no UDP checksum
}

// bytes makes the packet, as plainly as possible.
func (s *spec) bytes() []byte {
	var t []byte
	protocol := byte(protoTCP)
	if s.udp {
		protocol = protoUDP
		t = make([]byte, udpLen, udpLen+len(s.payload))
		binary.BigEndian.PutUint16(t[4:], uint16(udpLen+len(s.payload)))
	} else {
		t = make([]byte, tcpLen, tcpLen+len(s.options)+len(s.payload))
		binary.BigEndian.PutUint32(t[4:], s.seq)
		binary.BigEndian.PutUint32(t[8:], s.ack)
		t[12], t[13] = byte(tcpLen+len(s.options))/4<<4, s.flags
		binary.BigEndian.PutUint16(t[14:], s.window)
		t = append(t, s.options...)
	}
	t[0], t[1], t[2], t[3] = 0x40, s.flow, 0x50, s.flow
	t = append(t, s.payload...)
	ip := s.ip(protocol, len(t))
	at := tcpChecksum
	if s.udp {
		at = udpChecksum
	}
	c := slowChecksum(append(s.pseudo(protocol, len(t)), t...))
	if s.udp && c == 0 {
		c = 0xffff
	}
	switch s.corrupt {
	case 1:
		c ^= 0x1234
	case 3:
		c = 0
	}
	binary.BigEndian.PutUint16(t[at:], c)
	return append(ip, t...)
}

func (s *spec) addresses() (src, dst []byte) {
	if s.v6 {
		src, dst = make([]byte, 16), make([]byte, 16)
		src[0], dst[0] = 0xfd, 0xfd
		src[15], dst[14], dst[15] = 1, s.flow, 2
		return src, dst
	}
	return []byte{10, 0, 0, 1}, []byte{10, 0, s.flow, 2}
}

func (s *spec) pseudo(protocol byte, n int) []byte {
	src, dst := s.addresses()
	p := append(append([]byte{}, src...), dst...)
	return append(p, 0, protocol, byte(n>>8), byte(n))
}

func (s *spec) ip(protocol byte, n int) []byte {
	src, dst := s.addresses()
	if s.v6 {
		h := make([]byte, 8, 40)
		binary.BigEndian.PutUint32(h, 6<<28|uint32(s.tos)<<20|s.label)
		h[6], h[7] = protocol, s.ttl
		h = append(append(h, src...), dst...)
		if s.fragment != 0 {
			h[6] = 44
			h = append(h, protocol, 0, byte(s.fragment>>8), byte(s.fragment), 0, 0, 0, 7)
		} else if len(s.ext) > 0 {
			h[6] = 60
			h = append(h, s.ext...)
			h[40] = protocol
		}
		binary.BigEndian.PutUint16(h[4:], uint16(len(h)-40+n))
		return h
	}
	h := make([]byte, 20)
	h[0], h[1], h[8], h[9] = 0x45, s.tos, s.ttl, protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+n))
	binary.BigEndian.PutUint16(h[4:], s.id)
	binary.BigEndian.PutUint16(h[6:], s.fragment)
	if s.df {
		h[6] |= 0x40
	}
	copy(h[12:], src)
	copy(h[16:], dst)
	c := slowChecksum(h)
	if s.corrupt == 2 {
		c ^= 0x4321
	}
	binary.BigEndian.PutUint16(h[10:], c)
	return h
}

// slowChecksum is RFC 1071 as it is written there.
func slowChecksum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		if i%2 == 0 {
			sum += uint32(v) << 8
		} else {
			sum += uint32(v)
		}
		if sum > 0xffff {
			sum = sum&0xffff + sum>>16
		}
	}
	return ^uint16(sum)
}

// traffic makes sequences of packets in which much can be joined, and much must
// not be.
type traffic struct {
	*rand.Rand
	mtu      int
	ordinary bool    // nothing unusual
	flows    [8]spec // what the latest packet of each was
}

func newTraffic(seed uint64, mtu int) *traffic {
	t := &traffic{Rand: rand.New(rand.NewPCG(seed, 7)), mtu: mtu}
	for i := range t.flows {
		t.flows[i] = spec{v6: i&1 != 0, udp: i&2 != 0, flow: byte(i), ttl: 64, df: i&4 != 0, window: 500, flags: tcpACK,
			options: make([]byte, i&4*3)}
	}
	return t
}

// next makes the next packet of some flow.
func (t *traffic) next() []byte {
	s := &t.flows[t.IntN(len(t.flows))]
	s.seq += uint32(len(s.payload))
	s.flags, s.corrupt, s.fragment, s.ext = tcpACK, 0, 0, nil
	if !s.df || s.flow&4 == 0 {
		s.id++
	}
	overhead := 20 + tcpLen + len(s.options)
	if s.v6 {
		overhead += 20
	}
	size := len(s.payload)
	switch t.IntN(8) {
	case 0:
		size = t.IntN(t.mtu - overhead + 1)
	case 1:
		size = t.mtu - overhead
	}
	s.payload = make([]byte, size)
	for i := range s.payload {
		s.payload[i] = byte(t.Uint32())
	}
	if !t.ordinary && t.IntN(6) == 0 {
		t.twist(s)
	}
	if len(s.ext) > 0 || s.fragment != 0 && s.v6 {
		s.payload = s.payload[:max(0, size-16)]
	}
	return s.bytes()
}

// twist makes something about the next packet unusual.
func (t *traffic) twist(s *spec) {
	switch t.IntN(14) {
	case 0:
		s.flags = byte(t.Uint32())
	case 1:
		s.flags |= tcpPSH
	case 2:
		s.flags |= tcpFIN
	case 3:
		s.flags |= tcpECE
	case 4:
		s.flags |= tcpCWR
	case 5:
		s.tos = byte(t.Uint32())
	case 6:
		s.ttl--
	case 7:
		s.id += uint16(t.Uint32())
	case 8:
		s.seq += uint32(t.IntN(3)) - 1
	case 9:
		s.ack++
	case 10:
		s.window++
	case 11:
		s.corrupt = 1 + t.IntN(3)
		if !s.udp && s.corrupt == 3 || s.v6 && s.corrupt == 2 {
			s.corrupt = 1
		}
		if s.v6 && s.udp {
			s.corrupt = 1
		}
	case 12:
		s.fragment = []uint16{0x2000, 0x0010, 0x2010}[t.IntN(3)]
		if s.v6 {
			s.fragment = []uint16{0x0001, 0x0010, 0x0011}[t.IntN(3)]
		}
	case 13:
		if s.v6 && t.IntN(2) == 0 {
			s.label = t.Uint32() & 0xfffff
		} else if s.v6 {
			s.ext = make([]byte, 8)
		} else if !s.udp && len(s.options) > 0 {
			s.options[0]++
		}
	}
}
