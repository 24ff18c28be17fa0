package tundev

import "encoding/binary"

// headerLen is the length in bytes of struct virtio_net_hdr without
// num_buffers, which is what TUN devices use unless told otherwise.
const headerLen = 10

// Values of the header's fields (include/uapi/linux/virtio_net.h).
const (
	needsChecksum = 1 // flags: VIRTIO_NET_HDR_F_NEEDS_CSUM

	gsoNone = 0    // gso_type: VIRTIO_NET_HDR_GSO_NONE
	gsoTCP4 = 1    // VIRTIO_NET_HDR_GSO_TCPV4
	gsoTCP6 = 4    // VIRTIO_NET_HDR_GSO_TCPV6
	gsoUDP  = 5    // VIRTIO_NET_HDR_GSO_UDP_L4, of either family
	gsoECN  = 0x80 // VIRTIO_NET_HDR_GSO_ECN, beside one of TCP: CWR is set
)

// header is struct virtio_net_hdr. Lengths and offsets are in bytes.
type header struct {
	flags, gsoType                   uint8
	hdrLen                           uint16 // of all headers
	gsoSize                          uint16 // payload of each segment
	checksumStart, checksumFromStart uint16
}

// get reads h from the first headerLen bytes of b.
func (h *header) get(b []byte) {
	_ = b[headerLen-1]
	*h = header{
		flags: b[0], gsoType: b[1],
		hdrLen:            binary.NativeEndian.Uint16(b[2:]),
		gsoSize:           binary.NativeEndian.Uint16(b[4:]),
		checksumStart:     binary.NativeEndian.Uint16(b[6:]),
		checksumFromStart: binary.NativeEndian.Uint16(b[8:]),
	}
}

// put writes h to the first headerLen bytes of b.
func (h *header) put(b []byte) {
	_ = b[headerLen-1]
	b[0], b[1] = h.flags, h.gsoType
	binary.NativeEndian.PutUint16(b[2:], h.hdrLen)
	binary.NativeEndian.PutUint16(b[4:], h.gsoSize)
	binary.NativeEndian.PutUint16(b[6:], h.checksumStart)
	binary.NativeEndian.PutUint16(b[8:], h.checksumFromStart)
}
