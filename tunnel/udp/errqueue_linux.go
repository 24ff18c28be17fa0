package udp

import (
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxDrain bounds how many entries are read at a time. If some remain, the
// kernel makes the next of them pending, so they are not forgotten.
const maxDrain = 256

// errBuffer is room for one entry of the error queue: as much of our datagram
// as an ICMP message quotes (RFC 1812 says 576 bytes in all, RFC 4443 1280),
// and two control messages.
type errBuffer struct {
	data [1280]byte
	oob  [256]byte
}

var errBuffers = sync.Pool{New: func() any { return new(errBuffer) }}

// mayBePending says whether a call's error may be about an earlier datagram:
// these are what the kernel makes of ICMP and ICMPv6 messages
// (icmp_err_convert in net/ipv4/icmp.c, icmpv6_err_convert in net/ipv6/icmp.c).
func mayBePending(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET,
		unix.EPROTO, unix.ENOPROTOOPT, unix.EOPNOTSUPP, unix.EACCES, unix.EMSGSIZE:
		return true
	}
	return false
}

// drained tells what was in the error queue.
type drained struct {
	entries int
	local   bool // at least one was raised by a send call of this host
}

// drain empties the error queue of the socket, whose descriptor is fd, and
// reports what it finds. That also takes back the error that is pending.
func (s *socket) drain(fd int) (d drained) {
	buf := errBuffers.Get().(*errBuffer)
	defer errBuffers.Put(buf)
	for d.entries < maxDrain {
		n, oobn, _, to, err := unix.Recvmsg(fd, buf.data[:], buf.oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			// EAGAIN: the queue is empty. Nothing else is documented, and
			// whatever it is, the call that led here reports it.
			return d
		}
		d.entries++
		e, ok := parseExtendedErr(buf.oob[:oobn])
		if !ok {
			continue
		}
		d.local = d.local || e.Local
		if s.onICMP == nil {
			continue
		}
		e.Dst = fromSockaddr(to)
		e.V6 = s.v6
		e.Time = time.Now()
		e.Data = buf.data[:n]
		s.onICMP(e)
	}
	return d
}

// parseExtendedErr finds struct sock_extended_err, and the socket address of
// the offender after it, in the control messages of an entry.
func parseExtendedErr(b []byte) (e ICMPError, ok bool) {
	for len(b) >= unix.SizeofCmsghdr {
		hdr, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return e, false
		}
		b = rest
		isErr := hdr.Level == unix.IPPROTO_IP && hdr.Type == unix.IP_RECVERR ||
			hdr.Level == unix.IPPROTO_IPV6 && hdr.Type == unix.IPV6_RECVERR
		if !isErr || len(data) < int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			continue
		}
		ee := (*unix.SockExtendedErr)(unsafe.Pointer(unsafe.SliceData(data)))
		switch ee.Origin {
		case unix.SO_EE_ORIGIN_LOCAL:
			e.Local = true
		case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
		default: // time stamps and the like, which we did not ask for
			return e, false
		}
		e.Type, e.Code, e.Errno = ee.Type, ee.Code, syscall.Errno(ee.Errno)
		if e.Errno == unix.EMSGSIZE {
			e.MTU = ee.Info
		}
		e.From = offender(data[unsafe.Sizeof(*ee):])
		return e, true
	}
	return e, false
}

// offender reads a socket address. One that is cut off is none: the rest of it would
// be zeros, which is an address, too.
func offender(b []byte) netip.Addr {
	var sa sockaddr
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&sa)), unsafe.Sizeof(sa)), b)
	addr, _, zone := sa.get()
	if addr.Is4() && len(b) < unix.SizeofSockaddrInet4 || addr.Is6() && len(b) < unix.SizeofSockaddrInet6 {
		return netip.Addr{}
	}
	if zone != 0 {
		addr = addr.WithZone(zoneName(zone))
	}
	return addr
}

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			addr = addr.WithZone(zoneName(sa.ZoneId))
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	return netip.AddrPort{}
}
