// Package tundev is the TUN device of the kernel as the WireGuard device wants
// it: many packets a call, and none of them copied on the way.
//
// A [Device] is what wireguard-go calls a tun.Device, and does what
// wireguard-go's own does. A packet that a program on this host sends into the
// tunnel comes out of Read; what is given to Write arrives at this host.
//
// # Super packets
//
// Each pass through the kernel's network stack costs a microsecond or more,
// whatever the size of the packet. So the kernel lets one packet of up to 64
// KiB stand for many, if whoever takes it promises to cut it up later. The
// promise is made once (TUNSETOFFLOAD). From then on every packet, in both
// directions, has a header before it that says what it is (struct
// virtio_net_hdr in include/uapi/linux/virtio_net.h), in native byte order:
//
//	0  flags       1: the transport checksum is not computed yet
//	1  gso_type    0: one packet; 1, 4: TCP over IPv4, IPv6; 5: UDP
//	2  hdr_len     length of all headers (a hint, and not read here)
//	4  gso_size    payload of each segment; only the last one may be shorter
//	6  csum_start  where the transport header begins
//	8  csum_offset where the checksum is in it
//
// # Into the tunnel
//
// Read takes packets until there are none or its buffers are full, not one a
// call: what one program sends in small datagrams is still encrypted and sent
// in large batches. The payload of a super packet goes straight to where its
// segments belong. For that Read has to say before it knows the packet where
// the segments begin (readv(2)), so it guesses that they are like those of the
// super packet before:
//
//	what the kernel has    | headers | segment 0 | segment 1 | segment 2 |
//	                            |          |           |           |
//	buffers of the device  0:[headers][segment 0]      |           |
//	                       1:[       ][          segment 1]        |
//	                       2:[       ][                      segment 2]
//
// The headers of the segments are then written before each. A guess that was
// wrong costs one copy, as does what has no room in the buffers; that stays
// here for the next Read.
//
// # Out of the tunnel
//
// Write joins consecutive packets of one flow to a super packet, if cutting it
// up gives those packets again, byte for byte: the rules are those of the
// kernel's own joining (GRO, tcp_gro_receive and its like). What is not sure to
// be whole, such as a packet with a wrong checksum, is passed on as it is, and
// the order of a flow's packets is kept. A super packet is written from where
// its parts lie (writev(2)); only its headers are made anew.
//
// # Up, down, MTU
//
// The events of a Device say what the kernel says, no more: the interface is
// brought up, it is taken down, its MTU changes. The kernel announces that to
// the network namespace that the device was made in. In another one, to which
// the interface may have been moved, the Device notices at once that it comes up,
// and looks once a second whether it is taken down.
//
// # Where this does not work
//
// What the kernel refuses of the promises is not made: segments of UDP need
// Linux 6.2. If it refuses more than that, [Create] and [FromFile] return
// wireguard-go's own device, see [Fallback].
package tundev
