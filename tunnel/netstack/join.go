package netstack

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

const (
	tcpAck = 0x10
	// openRuns is how many connections' segments are joined side by side.
	openRuns = 8
)

// joiner joins packets of TCP that follow one another to one segment, as a network
// card does for a kernel (generic receive offload): the stack then has one to deal
// with instead of many. It joins only what it has verified the checksums of.
//
// gVisor's own (stack/gro) keeps each packet as it is and joins their buffers,
// which costs about as much as it saves.
type joiner struct {
	// deliver takes a packet; verified says that its checksums were looked at and
	// may be wrong by now.
	deliver func(pkt *buffer.View, six, verified bool)
	runs    [openRuns]run
	open    int // runs in use, the oldest first
}

// run is a series of packets of one connection.
type run struct {
	parts [][]byte // whole packets
	size  int      // of them joined
	ip    int      // length of the IP header
	head  int      // length of all headers
	mss   int      // payload of the first
	next  uint32   // sequence number
}

// add takes a packet, which must stay as it is until flush.
func (j *joiner) add(b []byte) {
	ip, head, ok := joinable(b)
	if !ok {
		if ip > 0 { // of a connection that may have a run: what came before goes first
			if i := j.find(b, ip); i >= 0 {
				j.end(i)
			}
		}
		j.deliver(buffer.NewViewWithData(b), b[0]>>4 == 6, false)
		return
	}
	payload := len(b) - head
	seq := binary.BigEndian.Uint32(b[ip+4:])
	i := j.find(b, ip)
	if i >= 0 && !j.runs[i].takes(b, ip, head, seq) {
		j.end(i)
		i = -1
	}
	if i < 0 {
		if j.open == openRuns {
			j.end(0)
		}
		i = j.open
		j.open++
		r := &j.runs[i]
		r.parts, r.size, r.ip, r.head, r.mss = r.parts[:0], head, ip, head, payload
	}
	r := &j.runs[i]
	r.parts = append(r.parts, b)
	r.size += payload
	r.next = seq + uint32(payload)
	if payload < r.mss || b[ip+13]&tcpPsh != 0 {
		j.end(i) // the sender had no more
	}
}

// flush delivers all that was added.
func (j *joiner) flush() {
	for j.open > 0 {
		j.end(0)
	}
}

// find returns the run of b's connection, -1 if there is none.
func (j *joiner) find(b []byte, ip int) int {
	for i := range j.runs[:j.open] {
		r := &j.runs[i]
		if first := r.parts[0]; r.ip == ip && sameConnection(first, b, ip) {
			return i
		}
	}
	return -1
}

// sameConnection compares addresses and ports.
func sameConnection(a, b []byte, ip int) bool {
	from := 12
	if ip == ipv6Header {
		from = 8
	}
	return bytes.Equal(a[from:ip+4], b[from:ip+4])
}

// takes reports whether b continues the run.
func (r *run) takes(b []byte, ip, head int, seq uint32) bool {
	first := r.parts[0]
	payload := len(b) - head
	if seq != r.next || head != r.head || payload > r.mss || r.size+payload >= maxSegment {
		return false
	}
	if ip == ipv4Header {
		// Type of service, "don't fragment", time to live.
		if b[1] != first[1] || b[6] != first[6] || b[8] != first[8] {
			return false
		}
	} else if !bytes.Equal(b[:4], first[:4]) || b[7] != first[7] { // class and label, hop limit
		return false
	}
	// The acknowledgement, and the options, of which timestamps are one.
	return bytes.Equal(b[ip+8:ip+12], first[ip+8:ip+12]) && bytes.Equal(b[ip+tcpHeader:head], first[ip+tcpHeader:head])
}

// end delivers a run.
func (j *joiner) end(i int) {
	r := &j.runs[i]
	v := buffer.NewView(r.size)
	last := r.parts[len(r.parts)-1]
	for k, b := range r.parts {
		if k > 0 {
			b = b[r.head:]
		}
		_, _ = v.Write(b) // it has the room
	}
	b := v.AsSlice() // nobody else has it yet
	b[r.ip+13] |= last[r.ip+13] & tcpPsh
	copy(b[r.ip+14:r.ip+16], last[r.ip+14:]) // the latest window
	if r.ip == ipv4Header {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Header))
	}
	j.deliver(v, r.ip == ipv6Header, true)
	// The others move up; its list of parts is kept for the next.
	clear(r.parts)
	done := *r
	copy(j.runs[i:j.open], j.runs[i+1:j.open])
	j.open--
	j.runs[j.open] = done
}

// joinable reports whether b is a packet of TCP with data and nothing special about
// it, whose checksums are right, and how long its IP header is, and all headers.
// If it is TCP all the same ip is not 0.
func joinable(b []byte) (ip, head int, ok bool) {
	switch {
	case b[0] == 0x45 && len(b) >= ipv4Header+tcpHeader && b[9] == protoTCP &&
		int(binary.BigEndian.Uint16(b[2:])) == len(b) &&
		binary.BigEndian.Uint16(b[6:])&0x3fff == 0: // no fragment
		ip = ipv4Header
	case b[0]>>4 == 6 && len(b) >= ipv6Header+tcpHeader && b[6] == protoTCP &&
		int(binary.BigEndian.Uint16(b[4:]))+ipv6Header == len(b):
		ip = ipv6Header
	default:
		return 0, 0, false
	}
	head = ip + int(b[ip+12]>>4)*4
	if head < ip+tcpHeader || head >= len(b) || b[ip+13]&^tcpPsh != tcpAck || b[ip+12]&0x0f != 0 {
		return ip, head, false
	}
	return ip, head, sumsRight(b, ip)
}

// sumsRight verifies the checksums of IPv4 and TCP (RFC 1071).
func sumsRight(b []byte, ip int) bool {
	addrs := b[8:40]
	if ip == ipv4Header {
		if checksum.Checksum(b[:ip], 0) != 0xffff {
			return false
		}
		addrs = b[12:20]
	}
	pseudo := checksum.Combine(checksum.Checksum(addrs, 0), checksum.Combine(protoTCP, uint16(len(b)-ip)))
	return checksum.Checksum(b[ip:], pseudo) == 0xffff
}
