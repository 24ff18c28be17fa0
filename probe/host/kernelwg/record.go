//go:build linux

package kernelwg

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/key"
)

const (
	familyIPv4 = unix.AF_INET
	familyIPv6 = unix.AF_INET6
)

// raw is a record of the ring buffer.
type raw []byte

func (r raw) word(at int) uint32  { return binary.NativeEndian.Uint32(r[at:]) }
func (r raw) long(at int) uint64  { return binary.NativeEndian.Uint64(r[at:]) }
func (r raw) port() uint16        { return binary.NativeEndian.Uint16(r[atPort:]) }
func (r raw) index() uint32       { return binary.LittleEndian.Uint32(r[atIndex:]) }
func (r raw) result() int32       { return int32(r.word(atResult)) }
func (r raw) initiator() bool     { return r[atInitiator] != 0 }
func (r raw) key() (k key.Public) { copy(k[:], r[atKey:]); return k }
func (r raw) message() message    { return message{r.long(atPeer), r.index(), r.long(atCounter)} }
func (r raw) endpoint() (a netip.AddrPort, ok bool) {
	b := r[atEndpoint:]
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b) {
	case familyIPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port), true
	case familyIPv6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), port), true
	}
	return a, false
}

// begun is a packet of which the beginning is known. The rest is zero.
type begun struct {
	scratch [maxMessage]byte
	clean   int // from here on scratch is zero
}

// packet is the packet of a record: its length, and as much of its beginning as the
// record has. What is behind that is zero.
func (t *begun) packet(r raw) []byte {
	n := int(min(r.word(atLength), maxMessage-1))
	known := min(n, int(r.word(atLinear)), header)
	copy(t.scratch[:known], r[atHeader:])
	if t.clean > known {
		clear(t.scratch[known:t.clean])
	}
	t.clean = known
	return t.scratch[:n]
}
