package observe

import (
	"encoding/binary"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/drops"
)

// Dropped is a packet that the kernel has dropped. The name of the device is left to who
// is in the network namespace.
type Dropped struct {
	evidence.KernelDrop
	Device uint32 // the index, 0 if it was at none
	// Matched: one of the selected packets, On a segment. Else it is a tunnel's.
	Matched bool
	On      evidence.Segment
	Event   probe.Event // its inner fields say what the headers do
	Header  [drops.HeaderLen]byte
	Report  *drops.Drop // by which it is known
}

// Index returns the receiver index of an encrypted message, and of data the counter.
func (d *Dropped) Index() (index uint32, counter uint64, ok bool) {
	m := d.message()
	switch {
	case m == nil:
	case m[0] == probe.TypeResponse: // its own index, then ours
		return binary.LittleEndian.Uint32(m[8:]), 0, true
	case m[0] == probe.TypeCookie:
		return binary.LittleEndian.Uint32(m[4:]), 0, true
	case m[0] == probe.TypeData:
		return binary.LittleEndian.Uint32(m[4:]), binary.LittleEndian.Uint64(m[8:]), true
	}
	return 0, 0, false
}

// Sender returns the sender's index of an initiation, 0 for other packets.
func (d *Dropped) Sender() uint32 {
	if m := d.message(); m != nil && m[0] == probe.TypeInitiation {
		return binary.LittleEndian.Uint32(m[4:])
	}
	return 0
}

// Head is the beginning of an encrypted message, by which it tells whose it is; nil if there
// is none.
func (d *Dropped) Head() []byte {
	if m := d.message(); m != nil {
		return m[:headLen]
	}
	return nil
}

// message is the header of an encrypted message, nil if there is none.
func (d *Dropped) message() []byte {
	at := int(d.Header[0]&0x0f)*4 + 8
	if d.Event.InnerSrc.Netip().Is6() {
		at = 40 + 8
	}
	if d.Event.Proto != probe.ProtoUDP || d.Event.Flags&probe.FlagFragment != 0 || at+16 > len(d.Header) {
		return nil
	}
	return d.Header[at:]
}
