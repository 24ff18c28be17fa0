package tundev

import (
	"bytes"
	"encoding/binary"
)

// joins says what the kernel takes as a super packet.
type joins struct{ tcp, udp bool }

// flowSlots is how many flows a batch is searched for at a time. With two in
// one slot fewer packets are joined, and nothing else.
const flowSlots = 256

// joiner finds out which packets of one batch become super packets. Each packet
// is in one of its groups, and each flow's packets are in the order in which
// they came, if the groups are taken in order and each from its first to its
// last.
type joiner struct {
	joins
	groups []group
	next   []int16 // of the packet that follows in a group
	slots  [flowSlots]slot
	batch  uint32 // the batch that a slot must be of
}

// slot is the group that the latest packet of a flow went to.
type slot struct {
	batch uint32
	group int16
}

// group is one packet, or the packets of one super packet.
type group struct {
	layout
	first, last int16 // packets of the batch
	packets     int16
	closed      bool // takes no further packet
	checked     bool // the first packet's checksums are right
	fixedID     bool // all packets have the same IPv4 identification
	flags       uint8
	size        int // bytes with one header
}

// layout is where the parts of a TCP or UDP packet are.
type layout struct {
	transport int // where the transport header begins
	headers   int // where the payload begins
	payload   int // bytes
	udp       bool
}

// sort puts packets, of which each begins at offset in its buffer, into
// groups.
func (j *joiner) sort(bufs [][]byte, offset int) {
	j.groups, j.next = j.groups[:0], j.next[:0]
	j.forget()
	for i, b := range bufs {
		j.next = append(j.next, -1)
		pkt := b[offset:]
		l, kind := j.layout(pkt)
		if kind == strange {
			// It may be of any flow: a fragment, for one.
			j.forget()
			j.open(i, pkt, l).closed = true
			continue
		}
		s := &j.slots[flowHash(pkt, l.transport)]
		if s.batch == j.batch {
			g := &j.groups[s.group]
			if kind == joinable && g.takes(bufs[g.first][offset:], pkt, l) && g.proven(bufs[g.first][offset:]) && whole(pkt, l) {
				g.add(i, pkt, l)
				j.next[g.last] = int16(i)
				g.last = int16(i)
				continue
			}
		}
		*s = slot{j.batch, int16(len(j.groups))}
		g := j.open(i, pkt, l)
		g.closed = g.closed || kind != joinable
	}
}

// forget makes all that come begin new groups.
func (j *joiner) forget() {
	if j.batch++; j.batch == 0 {
		j.slots, j.batch = [flowSlots]slot{}, 1
	}
}

func (j *joiner) open(i int, pkt []byte, l layout) *group {
	j.groups = append(j.groups, group{layout: l, first: int16(i), last: int16(i), packets: 1, size: len(pkt)})
	g := &j.groups[len(j.groups)-1]
	if l.headers != 0 && !l.udp {
		g.flags = pkt[l.transport+tcpFlags]
		// PSH and FIN belong to the last segment.
		g.closed = g.flags&(tcpPSH|tcpFIN) != 0
	}
	return g
}

// kind is what can be done with a packet.
type kind uint8

const (
	strange  kind = iota // not known which flow it is of
	single               // not to be joined
	joinable             // may be
)

// layout finds the parts of a packet. For a strange one there are none.
func (j *joiner) layout(pkt []byte) (l layout, k kind) {
	if len(pkt) < 28 {
		return layout{}, strange
	}
	var protocol uint8
	k = joinable
	if pkt[0]>>4 == 4 {
		l.transport = int(pkt[0]&15) * 4
		fragment := binary.BigEndian.Uint16(pkt[6:])&0x3fff != 0
		if l.transport < 20 || fragment || int(binary.BigEndian.Uint16(pkt[2:])) != len(pkt) {
			return layout{}, strange
		}
		protocol = pkt[9]
		if l.transport > 20 {
			k = single // as the kernel: it has options
		}
	} else {
		l.transport = 40
		if pkt[0]>>4 != 6 || len(pkt) < 48 || int(binary.BigEndian.Uint16(pkt[4:])) != len(pkt)-40 {
			return layout{}, strange
		}
		protocol = pkt[6] // extension headers are strange
	}
	switch {
	case protocol == protoTCP && len(pkt) >= l.transport+tcpLen:
		return l.tcp(pkt, k, j.tcp)
	case protocol == protoUDP && len(pkt) >= l.transport+udpLen:
		l.udp, l.headers = true, l.transport+udpLen
		l.payload = len(pkt) - l.headers
		length := binary.BigEndian.Uint16(pkt[l.transport+udpLength:])
		if !j.udp || l.payload == 0 || int(length) != len(pkt)-l.transport {
			k = single
		}
		return l, k
	}
	return layout{}, strange
}

func (l layout) tcp(pkt []byte, k kind, allowed bool) (layout, kind) {
	t := pkt[l.transport:]
	length := int(t[12]>>4) * 4
	if length < tcpLen || length > len(t) {
		l.headers = len(pkt)
		return l, single
	}
	l.headers = l.transport + length
	l.payload = len(pkt) - l.headers
	if !allowed || l.payload == 0 || t[tcpFlags]&(tcpACK|tcpSYN|tcpRST|tcpURG) != tcpACK {
		k = single
	}
	return l, k
}

// flowHash is a number below flowSlots that is the same for all packets of a
// flow.
func flowHash(pkt []byte, transport int) uint32 {
	h := binary.NativeEndian.Uint32(pkt[transport:])
	if pkt[0]>>4 == 4 {
		h = h*0x9e3779b1 ^ binary.NativeEndian.Uint32(pkt[12:]) + binary.NativeEndian.Uint32(pkt[16:])
	} else {
		h = h*0x9e3779b1 ^ binary.NativeEndian.Uint32(pkt[20:]) + binary.NativeEndian.Uint32(pkt[36:])
	}
	return h * 0x9e3779b1 >> 24
}

// takes reports whether pkt may follow in a group that begins with first.
func (g *group) takes(first, pkt []byte, l layout) bool {
	if g.closed || l.headers != g.headers || l.transport != g.transport || l.udp != g.udp ||
		l.payload > g.layout.payload || g.size+l.payload > maxIPLen || !g.sameIP(first, pkt) {
		return false
	}
	a, b := first[l.transport:l.headers], pkt[l.transport:l.headers]
	if *(*[4]byte)(a) != *(*[4]byte)(b) { // ports
		return false
	}
	if l.udp {
		return true
	}
	flags := b[tcpFlags]
	return binary.BigEndian.Uint32(b[tcpSeq:]) == binary.BigEndian.Uint32(a[tcpSeq:])+uint32(g.size-g.headers) &&
		*(*[5]byte)(a[tcpAck:]) == *(*[5]byte)(b[tcpAck:]) && // and length, reserved bits
		(flags^a[tcpFlags])&^(tcpFIN|tcpPSH|tcpCWR) == 0 && flags&tcpCWR == 0 &&
		*(*[2]byte)(a[14:]) == *(*[2]byte)(b[14:]) && // window
		bytes.Equal(a[18:], b[18:]) // urgent pointer, options
}

// sameIP reports whether the IP headers are equal but for what a super packet
// has no use for.
func (g *group) sameIP(a, b []byte) bool {
	if a[0]>>4 == 6 {
		return *(*[4]byte)(a) == *(*[4]byte)(b) && // version, traffic class, flow label
			a[7] == b[7] && *(*[32]byte)(a[8:]) == *(*[32]byte)(b[8:])
	}
	if *(*[2]byte)(a) != *(*[2]byte)(b) || a[6] != b[6] || a[8] != b[8] || *(*[8]byte)(a[12:]) != *(*[8]byte)(b[12:]) {
		return false
	}
	// Segments get consecutive identifications. Where the packets have the same,
	// nobody may care, as they are not to be fragmented (RFC 6864).
	step := binary.BigEndian.Uint16(b[4:]) - binary.BigEndian.Uint16(a[4:])
	fixed := step == 0 && a[6]&0x40 != 0
	if g.packets == 1 {
		g.fixedID = fixed
	}
	return fixed && g.fixedID || !g.fixedID && step == uint16(g.packets)
}

// proven makes sure that the first packet's checksums are right.
func (g *group) proven(first []byte) bool {
	if g.packets == 1 && !g.checked {
		if !whole(first, g.layout) {
			g.closed = true
			return false
		}
		g.checked = true
	}
	return true
}

// whole reports whether a packet's checksums are right, and those that a
// segment would have.
func whole(pkt []byte, l layout) bool {
	protocol, at := uint8(protoTCP), l.transport+tcpChecksum
	if l.udp {
		protocol, at = protoUDP, l.transport+udpChecksum
	}
	// 0 and 0xffff are the same number, of which TCP uses the first, UDP the
	// second: there 0 means that there is none.
	if c := binary.NativeEndian.Uint16(pkt[at:]); l.udp && c == 0 || !l.udp && c == 0xffff {
		return false
	}
	if pkt[0]>>4 == 4 && (sum(0).add(pkt[:l.transport]).fold() != 0xffff || pkt[10]&pkt[11] == 0xff) {
		return false
	}
	return pseudoHeader(pkt, protocol).addWord(uint16(len(pkt)-l.transport)).add(pkt[l.transport:]).fold() == 0xffff
}

func (g *group) add(i int, pkt []byte, l layout) {
	g.packets++
	g.size += l.payload
	if !l.udp {
		flags := pkt[l.transport+tcpFlags]
		g.flags |= flags
		g.closed = flags&(tcpPSH|tcpFIN) != 0
	}
	if l.payload < g.layout.payload {
		g.closed = true // only the last segment may be shorter
	}
}

// appendHeaders appends the headers of a super packet, virtio's first, whose
// first packet is first.
func (g *group) appendHeaders(b, first []byte) []byte {
	h := header{flags: needsChecksum, hdrLen: uint16(g.headers), gsoSize: uint16(g.payload), checksumStart: uint16(g.transport)}
	at := len(b)
	b = append(append(b, make([]byte, headerLen)...), first[:g.headers]...)
	v, ip := b[at:], b[at+headerLen:]
	t := ip[g.transport:]
	v6 := ip[0]>>4 == 6
	length := uint16(g.size - g.transport)
	protocol, field := uint8(protoTCP), tcpChecksum
	switch {
	case g.udp:
		h.gsoType = gsoUDP
		protocol, field = protoUDP, udpChecksum
		binary.BigEndian.PutUint16(t[udpLength:], length)
	case v6:
		h.gsoType = gsoTCP6
	default:
		h.gsoType = gsoTCP4
	}
	if !g.udp {
		t[tcpFlags] = g.flags
		if g.flags&tcpCWR != 0 {
			h.gsoType |= gsoECN
		}
	}
	if v6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(g.size-40))
	} else {
		binary.BigEndian.PutUint16(ip[2:], uint16(g.size))
		ip[10], ip[11] = 0, 0
		putChecksum(ip[10:], sum(0).add(ip[:g.transport]), false)
	}
	// The kernel adds the rest.
	binary.NativeEndian.PutUint16(t[field:], pseudoHeader(ip, protocol).addWord(length).fold())
	h.checksumFromStart = uint16(field)
	h.put(v)
	return b
}
