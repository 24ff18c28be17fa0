package probe

import (
	"encoding/binary"
	"sync/atomic"
)

// fragmentSlots is how many fragmented datagrams are remembered at a time. The
// fragments of one follow each other closely.
const fragmentSlots = 256

// fragments remembers the flow of each datagram whose first fragment passed,
// because later fragments have no ports to tell it by.
//
// It is direct-mapped and without locks. A slot is two words, the datagram's
// hash exclusive-ored with the flow's key, and the key: a reader that meets a
// half-written slot finds that they do not fit together.
type fragments [fragmentSlots][2]atomic.Uint64

func (f *fragments) put(datagram uint64, k Key) {
	s := &f[datagram%fragmentSlots]
	s[0].Store(datagram ^ uint64(k))
	s[1].Store(uint64(k))
}

func (f *fragments) get(datagram uint64) (Key, bool) {
	s := &f[datagram%fragmentSlots]
	k := s[1].Load()
	return Key(k), k != 0 && s[0].Load()^k == datagram
}

// datagram hashes what the fragments of one datagram have in common: addresses,
// identification, in IPv4 the protocol (RFC 791, section 3.2; RFC 8200, section
// 4.5), and the peer. ok is false if b is no fragment.
func (f *Flows) datagram(e *Event, b []byte) (hash uint64, ok bool) {
	var id uint64
	if b[0]>>4 == 4 {
		if binary.BigEndian.Uint16(b[6:])&^0x4000 == 0 { // more fragments, offset
			return 0, false
		}
		id = uint64(binary.BigEndian.Uint16(b[4:]))<<8 | uint64(e.Proto)
	} else {
		h := fragmentHeader(b)
		if h == nil {
			return 0, false
		}
		id = uint64(binary.BigEndian.Uint32(h[4:]))
	}
	src := mix(binary.NativeEndian.Uint64(e.InnerSrc[:])^f.seed, binary.NativeEndian.Uint64(e.InnerSrc[8:]))
	dst := mix(binary.NativeEndian.Uint64(e.InnerDst[:])^f.seed, binary.NativeEndian.Uint64(e.InnerDst[8:]))
	return mix(src-dst, id^uint64(e.Peer)<<32), true
}

// fragmentHeader finds the fragment header of an IPv6 packet, nil if it has
// none.
func fragmentHeader(b []byte) []byte {
	next, rest := b[6], b[40:]
	for range maxExtensionHeaders {
		if len(rest) < 8 {
			return nil
		}
		size := int(rest[1])*8 + 8
		switch next {
		case protoFragment:
			return rest
		case protoHopByHop, protoRouting, protoDestOpts:
		case protoAH:
			size = int(rest[1])*4 + 8
		default:
			return nil
		}
		if size > len(rest) {
			return nil
		}
		next, rest = rest[0], rest[size:]
	}
	return nil
}
