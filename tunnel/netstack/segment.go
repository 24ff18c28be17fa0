package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	ipv4Header = 20 // bytes, without options
	ipv6Header = 40
	tcpHeader  = 20 // without options
	protoTCP   = 6

	tcpFin, tcpPsh, tcpCwr = 0x01, 0x08, 0x80

	// maxHeaders is how long the headers of an IP packet with TCP can be: 60
	// bytes of either IPv4 or TCP.
	maxHeaders = 120
)

// segments makes packets of what a stack sends: one of each, or of a segment of
// TCP that is larger than the MTU as many as it takes. The first to ask for a
// packet after begin gets the first. It is for one goroutine.
type segments struct {
	pkt  *stack.PacketBuffer // nil: nothing is left
	view *buffer.View        // that is read next, nil if none
	rest []byte              // of the view before it
	left int                 // bytes that have not been read

	mss  int // bytes of payload in a packet; 0: it is one packet, to be sent as it is
	ip   int // length of the IP header
	head [maxHeaders]byte
	hlen int
	seq  uint32 // of the next packet
	id   uint16 // of the next packet, in IPv4
}

// empty reports whether all has been handed out.
func (s *segments) empty() bool { return s.pkt == nil }

// begin takes a packet over. The one before must have been handed out. It reports
// false, and takes nothing over, if that cannot be made packets of: the stack
// says something of it that is not so.
func (s *segments) begin(pkt *stack.PacketBuffer) bool {
	views, skip := pkt.AsViewList()
	*s = segments{pkt: pkt, view: views.Front()}
	for v := views.Front(); v != nil; v = v.Next() {
		s.left += v.Size()
	}
	s.skip(skip)
	o := &pkt.GSOOptions
	if o.Type != stack.GSONone && !s.split(int(o.L3HdrLen), int(o.MSS)) {
		*s = segments{}
		return false
	}
	return true
}

// split reads the headers of a segment of TCP that has no checksum yet.
func (s *segments) split(ip, mss int) bool {
	if mss < 1 || s.left > maxSegment || ip < ipv4Header || ip+tcpHeader > min(s.left, maxHeaders) {
		return false
	}
	s.read(s.head[:ip+tcpHeader])
	tcp := int(s.head[ip+12]>>4) * 4
	if tcp < tcpHeader || ip+tcp > maxHeaders || tcp-tcpHeader > s.left {
		return false
	}
	s.read(s.head[ip+tcpHeader : ip+tcp])
	switch version := s.head[0] >> 4; {
	case version == 4 && int(s.head[0]&0x0f)*4 == ip && s.head[9] == protoTCP:
		s.id = binary.BigEndian.Uint16(s.head[4:])
	case version == 6 && ip == ipv6Header && s.head[6] == protoTCP:
	default:
		return false
	}
	s.mss, s.ip, s.hlen = mss, ip, ip+tcp
	s.seq = binary.BigEndian.Uint32(s.head[ip+4:])
	return true
}

// next writes the next packet to b and returns its length. It is 0 if b is too
// short, and then nothing is left.
func (s *segments) next(b []byte) int {
	payload := s.left
	if s.mss > 0 {
		payload = min(payload, s.mss)
	}
	n := s.hlen + payload
	if n > len(b) {
		s.end()
		return 0
	}
	b = b[:n]
	copy(b, s.head[:s.hlen])
	s.read(b[s.hlen:])
	if s.mss > 0 {
		s.finish(b)
	}
	if s.left == 0 {
		s.end()
	}
	return n
}

// finish writes into the headers of b what is not the same in all its packets,
// and the checksums (RFC 1071, RFC 9293 3.1).
func (s *segments) finish(b []byte) {
	tcp := b[s.ip:]
	first := binary.BigEndian.Uint32(tcp[4:]) == s.seq
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	s.seq += uint32(len(b) - s.hlen)
	if s.left > 0 { // the end is that of the last
		tcp[13] &^= tcpFin | tcpPsh
	}
	if !first { // the answer to a mark of congestion is given once (RFC 3168 6.1.2)
		tcp[13] &^= tcpCwr
	}
	var pseudo uint16
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[4:], s.id)
		s.id++
		b[10], b[11] = 0, 0
		checksum.Put(b[10:], ^checksum.Checksum(b[:s.ip], 0))
		pseudo = checksum.Checksum(b[12:20], 0)
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Header))
		pseudo = checksum.Checksum(b[8:40], 0)
	}
	pseudo = checksum.Combine(pseudo, checksum.Combine(protoTCP, uint16(len(tcp))))
	tcp[16], tcp[17] = 0, 0
	checksum.Put(tcp[16:], ^checksum.Checksum(tcp, pseudo))
}

// read fills b, of which there must be as much left.
func (s *segments) read(b []byte) {
	s.left -= len(b)
	for len(b) > 0 {
		if len(s.rest) == 0 {
			s.rest = s.view.AsSlice()
			s.view = s.view.Next()
		}
		n := copy(b, s.rest)
		b, s.rest = b[n:], s.rest[n:]
	}
}

// skip goes past n bytes.
func (s *segments) skip(n int) {
	s.left -= n
	for n > 0 {
		if len(s.rest) == 0 {
			s.rest = s.view.AsSlice()
			s.view = s.view.Next()
		}
		k := min(n, len(s.rest))
		n, s.rest = n-k, s.rest[k:]
	}
}

// end gives the packet back.
func (s *segments) end() {
	if s.pkt != nil {
		s.pkt.DecRef()
	}
	s.pkt, s.view, s.rest, s.left = nil, nil, nil, 0
}
