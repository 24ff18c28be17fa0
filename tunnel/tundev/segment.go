package tundev

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.zx2c4.com/wireguard/tun"
)

const (
	protoTCP, protoUDP = 6, 17

	tcpLen, udpLen = 20, 8 // headers without options
	maxIPLen       = 65535 // an IPv4 packet, or the payload of an IPv6 packet

	tcpSeq, tcpAck, tcpFlags, tcpChecksum = 4, 8, 13, 16 // offsets in the header
	udpLength, udpChecksum                = 4, 6

	tcpFIN, tcpSYN, tcpRST, tcpPSH = 1, 2, 4, 8
	tcpACK, tcpURG, tcpECE, tcpCWR = 16, 32, 64, 128
)

// malformed says why a packet of the kernel's was dropped: it contradicts its
// own header. It is no reason to stop reading, which the device has one error
// for.
type malformed string

func (m malformed) Error() string { return "drop packet from the kernel: " + string(m) }

// Is makes it tun.ErrTooManySegments, after which the device reads on.
func (m malformed) Is(err error) bool { return err == tun.ErrTooManySegments }

var errTooLarge = malformed("larger than a buffer")

func malformedf(format string, args ...any) error { return malformed(fmt.Sprintf(format, args...)) }

// shape is what a super packet's segments look like.
type shape struct {
	headers int // bytes of IP and transport header
	segment int // bytes of payload, of each but the last one
}

// shapeOf finds the shape of the super packet that h describes and that begins
// with b. It fails if they do not fit each other.
func shapeOf(h *header, b []byte) (shape, error) {
	if h.flags&needsChecksum == 0 || h.gsoSize == 0 || len(b) < 20+udpLen {
		return shape{}, malformedf("segments of %d bytes, flags %d, in %d bytes", h.gsoSize, h.flags, len(b))
	}
	start := int(h.checksumStart)
	version := b[0] >> 4
	switch {
	case version == 4 && start >= 20 && start == int(b[0]&15)*4:
	case version == 6 && start >= 40:
	default:
		return shape{}, malformedf("IP version %d, transport header at %d", version, start)
	}
	var end int
	switch kind := h.gsoType &^ gsoECN; {
	case kind == gsoTCP4 && version == 4, kind == gsoTCP6 && version == 6:
		if start+tcpLen > len(b) || h.checksumFromStart != tcpChecksum {
			return shape{}, malformedf("no TCP header at %d of %d", start, len(b))
		}
		length := int(b[start+12]>>4) * 4
		if length < tcpLen {
			return shape{}, malformedf("TCP header of %d bytes", length)
		}
		end = start + length
	case h.gsoType == gsoUDP:
		if h.checksumFromStart != udpChecksum {
			return shape{}, malformedf("UDP checksum at %d", h.checksumFromStart)
		}
		end = start + udpLen
	default:
		return shape{}, malformedf("type %d, IP version %d", h.gsoType, version)
	}
	if end >= len(b) || end+int(h.gsoSize) > maxIPLen {
		return shape{}, malformedf("headers of %d bytes, segments of %d, in %d bytes", end, h.gsoSize, len(b))
	}
	return shape{end, int(h.gsoSize)}, nil
}

// cutter makes the packets that a super packet stands for.
type cutter struct {
	shape
	transport int    // where the transport header begins
	head      []byte // the super packet's headers; memory of the cutter's own
	pseudo    sum    // of the pseudo header, without its length
	index     int    // of the next segment
	left      int    // bytes of payload that no segment has got yet
	payload   []byte // these bytes, where they are not in place
}

// start begins with a super packet of that shape and size, of which b holds at
// least the headers.
func (c *cutter) start(s shape, h *header, b []byte, size int) {
	c.shape, c.transport = s, int(h.checksumStart)
	c.head = append(c.head[:0], b[:s.headers]...)
	c.index, c.left, c.payload = 0, size-s.headers, nil
	if c.udp() {
		c.pseudo = pseudoHeader(c.head, protoUDP)
		c.head[c.transport+udpChecksum], c.head[c.transport+udpChecksum+1] = 0, 0
	} else {
		c.pseudo = pseudoHeader(c.head, protoTCP)
		c.head[c.transport+tcpChecksum], c.head[c.transport+tcpChecksum+1] = 0, 0
	}
	if c.v4() {
		c.head[10], c.head[11] = 0, 0
	}
}

func (c *cutter) v4() bool  { return c.head[0]>>4 == 4 }
func (c *cutter) udp() bool { return c.headers == c.transport+udpLen } // a TCP header is longer

// next makes the next segment in out, and returns its length. Its payload is in
// out already, behind where the headers go, unless c.payload holds it. out has
// room for it.
func (c *cutter) next(out []byte) (size int) {
	n := min(c.segment, c.left)
	size = c.headers + n
	out = out[:size]
	if c.payload != nil {
		copy(out[c.headers:], c.payload[:n])
		c.payload = c.payload[n:]
	}
	c.left -= n
	copy(out, c.head)
	if c.v4() {
		binary.BigEndian.PutUint16(out[2:], uint16(size))
		binary.BigEndian.PutUint16(out[4:], binary.BigEndian.Uint16(c.head[4:])+uint16(c.index))
		putChecksum(out[10:], sum(0).add(out[:c.transport]), false)
	} else {
		binary.BigEndian.PutUint16(out[4:], uint16(size-40))
	}
	t := out[c.transport:]
	s := c.pseudo.addWord(uint16(len(t)))
	if c.udp() {
		binary.BigEndian.PutUint16(t[udpLength:], uint16(len(t)))
		putChecksum(t[udpChecksum:], s.add(t), true)
	} else {
		binary.BigEndian.PutUint32(t[tcpSeq:], binary.BigEndian.Uint32(c.head[c.transport+tcpSeq:])+uint32(c.index*c.segment))
		if c.left > 0 { // as tcp_gso_segment
			t[tcpFlags] &^= tcpFIN | tcpPSH
		}
		if c.index > 0 {
			t[tcpFlags] &^= tcpCWR
		}
		putChecksum(t[tcpChecksum:], s.add(t), false)
	}
	c.index++
	return size
}

// rest makes the segments that have no packet yet, as many as there are buffers
// for, from c.payload.
func (c *cutter) rest(bufs [][]byte, sizes []int, offset int) (n int) {
	for c.left > 0 && n < len(bufs) {
		sizes[n] = c.next(bufs[n][offset:])
		n++
	}
	return n
}

// finishChecksum computes the checksum that the kernel has left to us in a
// packet that is no super packet. Its place holds the sum of the pseudo header.
func finishChecksum(h *header, pkt []byte) error {
	if h.flags&needsChecksum == 0 {
		return nil
	}
	start, at := int(h.checksumStart), int(h.checksumStart)+int(h.checksumFromStart)
	if at+2 > len(pkt) {
		return malformedf("checksum at %d of %d bytes", at, len(pkt))
	}
	// With the place odd from start the sum would be another: there is no such
	// protocol.
	putChecksum(pkt[at:], sum(0).add(pkt[start:]), h.checksumFromStart == udpChecksum)
	return nil
}

var errOffset = errors.New("no room for a header before the packet")
