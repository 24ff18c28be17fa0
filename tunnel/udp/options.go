package udp

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Options say how a Bind behaves. The zero value is a good one.
type Options struct {
	// OnICMP, if not nil, is called for each error that the kernel reports
	// about a datagram we sent. It is called from within Send and the receive
	// functions, from several goroutines at once: it must not block, and must
	// not call the Bind.
	OnICMP func(ICMPError)

	// SocketBuffer is the size in bytes of each socket's receive and send
	// buffer. Beyond net.core.rmem_max and wmem_max it needs CAP_NET_ADMIN;
	// without, the kernel quietly gives less. 0 means 7 MiB.
	SocketBuffer int

	// DisableOffload turns off UDP_SEGMENT and UDP_GRO: every packet makes
	// its own way through the network stack.
	DisableOffload bool
}

// ICMPError is one entry of a socket's error queue: what became of a datagram
// that we sent (struct sock_extended_err in linux/errqueue.h).
type ICMPError struct {
	// Dst is where our datagram was going.
	Dst netip.AddrPort
	// From is who sent the ICMP message. It is one of our own addresses, or
	// invalid, when this host raised the error itself, as it does when nobody
	// answers to ARP.
	From netip.Addr
	// Local says that no ICMP message was involved: the send call itself
	// failed (SO_EE_ORIGIN_LOCAL). Type and Code mean nothing then.
	Local bool
	// Type and Code are those of the ICMP (RFC 792) or, if V6, the ICMPv6
	// message (RFC 4443).
	Type, Code uint8
	V6         bool
	// Errno is what the kernel makes of it, for example ECONNREFUSED.
	Errno syscall.Errno
	// MTU is the size in bytes of the largest packet that would have passed,
	// if the datagram was too big; else 0.
	MTU uint32
	// Time is when we read the entry.
	Time time.Time
	// Data is the beginning of our datagram's UDP payload, as much of it as
	// the ICMP message quoted: often nothing. It is valid only during the
	// call of OnICMP.
	Data []byte
}

// String describes the error in one line, for logs.
func (e ICMPError) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "datagram to %s: %v", e.Dst, e.Errno)
	switch {
	case e.Local:
		b.WriteString(" (raised by this host)")
	case e.V6:
		fmt.Fprintf(&b, " (ICMPv6 type %d code %d from %s)", e.Type, e.Code, e.From)
	default:
		fmt.Fprintf(&b, " (ICMP type %d code %d from %s)", e.Type, e.Code, e.From)
	}
	if e.MTU != 0 {
		fmt.Fprintf(&b, ", MTU %d", e.MTU)
	}
	return b.String()
}
