package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's view of a batch: an array of headers that point to addresses,
// payloads and control messages. golang.org/x/net would build these for us,
// but allocates an address for each packet received.

// message is struct mmsghdr of recvmmsg(2) and sendmmsg(2): a header and, on
// return, the number of payload bytes.
type message struct {
	unix.Msghdr
	bytes uint32
}

// recvmmsg fills messages and returns how many. The socket is non-blocking:
// the kernel returns what is there, or EAGAIN.
func recvmmsg(fd uintptr, msgs []message) (int, syscall.Errno) {
	return mmsg(unix.SYS_RECVMMSG, fd, msgs)
}

// sendmmsg sends messages and returns how many. There is an error only if not
// even the first could be sent.
func sendmmsg(fd uintptr, msgs []message) (int, syscall.Errno) {
	return mmsg(unix.SYS_SENDMMSG, fd, msgs)
}

func mmsg(call, fd uintptr, msgs []message) (int, syscall.Errno) {
	for {
		n, _, errno := unix.Syscall6(call, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(msgs))), uintptr(len(msgs)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// sockaddr has room for an IPv4 or an IPv6 socket address.
type sockaddr unix.RawSockaddrInet6

func (a *sockaddr) in4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
}

// set stores dst and returns how many bytes of a it takes. zone is the
// interface index that an IPv6 link-local address needs.
func (a *sockaddr) set(dst netip.AddrPort, zone uint32) (length uint32) {
	if dst.Addr().Is4() {
		*a.in4() = unix.RawSockaddrInet4{
			Family: unix.AF_INET,
			Port:   swapPort(dst.Port()),
			Addr:   dst.Addr().As4(),
		}
		return unix.SizeofSockaddrInet4
	}
	*a = sockaddr{
		Family:   unix.AF_INET6,
		Port:     swapPort(dst.Port()),
		Addr:     dst.Addr().As16(),
		Scope_id: zone,
	}
	return unix.SizeofSockaddrInet6
}

// get is the reverse of set. The address has no zone.
func (a *sockaddr) get() (addr netip.Addr, port uint16, zone uint32) {
	switch a.Family {
	case unix.AF_INET:
		return netip.AddrFrom4(a.in4().Addr), swapPort(a.in4().Port), 0
	case unix.AF_INET6:
		return netip.AddrFrom16(a.Addr), swapPort(a.Port), a.Scope_id
	}
	return netip.Addr{}, 0, 0
}

// swapPort converts between host and network byte order.
func swapPort(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// control holds the control messages (cmsg(3)) of one message. It is made of
// words so that their headers are aligned.
type control [10]uint64

const controlSize = int(unsafe.Sizeof(control{}))

func (c *control) pointer() *byte { return (*byte)(unsafe.Pointer(c)) }

// bytes returns the first n bytes of c.
func (c *control) bytes(n int) []byte { return unsafe.Slice(c.pointer(), n) }

// add writes the header of a control message at offset at, which has size
// bytes of data. It returns where the data goes, and the offset after them.
func (c *control) add(at int, level, typ int32, size int) (data unsafe.Pointer, next int) {
	hdr := (*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(c), at))
	hdr.Level, hdr.Type = level, typ
	hdr.SetLen(unix.CmsgLen(size))
	return unsafe.Add(unsafe.Pointer(hdr), unix.CmsgLen(0)), at + unix.CmsgSpace(size)
}

// addSource asks for src as the sender's address and interface.
func (c *control) addSource(at int, src source) (next int) {
	switch {
	case src.addr.Is4():
		data, next := c.add(at, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{
			Ifindex:  int32(src.ifindex),
			Spec_dst: src.addr.As4(),
		}
		return next
	case src.addr.Is6():
		data, next := c.add(at, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		*(*unix.Inet6Pktinfo)(data) = unix.Inet6Pktinfo{
			Addr:    src.addr.As16(),
			Ifindex: src.ifindex,
		}
		return next
	}
	return at
}

// addSegment asks for the payload to be cut into datagrams of size bytes.
func (c *control) addSegment(at int, size uint16) (next int) {
	data, next := c.add(at, unix.IPPROTO_UDP, unix.UDP_SEGMENT, int(unsafe.Sizeof(size)))
	*(*uint16)(data) = size
	return next
}

// parseControl reads what came with a received message: which of our addresses
// it was sent to, and the size of the datagrams that the kernel joined to make
// it (0: it is one datagram).
func parseControl(b []byte) (src source, segment int) {
	for len(b) >= unix.SizeofCmsghdr {
		hdr, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			// Only a truncated message: there is nothing more to read.
			return src, segment
		}
		b = rest
		switch {
		case hdr.Level == unix.IPPROTO_IP && hdr.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// Spec_dst differs from Addr only for broadcasts, which cannot
			// be answered from where they were sent to.
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(unsafe.SliceData(data)))
			src = source{netip.AddrFrom4(info.Spec_dst), uint32(info.Ifindex)}
		case hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(unsafe.SliceData(data)))
			src = source{netip.AddrFrom16(info.Addr), info.Ifindex}
		case hdr.Level == unix.IPPROTO_UDP && hdr.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(int32(binary.NativeEndian.Uint32(data)))
		}
	}
	return src, segment
}
