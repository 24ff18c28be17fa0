//go:build linux

package conntrack

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
)

// Tuple is one direction of a flow.
type Tuple struct {
	Src, Dst netip.Addr
	Proto    uint8 // IP protocol
	// SrcPort and DstPort are zero for protocols without ports.
	SrcPort, DstPort uint16
	// ICMPType, ICMPCode and ICMPID are for ICMP and ICMPv6 only.
	ICMPType, ICMPCode uint8
	ICMPID             uint16
}

// Source returns source and port.
func (t Tuple) Source() netip.AddrPort { return netip.AddrPortFrom(t.Src, t.SrcPort) }

// Destination returns destination and port.
func (t Tuple) Destination() netip.AddrPort { return netip.AddrPortFrom(t.Dst, t.DstPort) }

// String returns "udp 10.0.0.1:4000 > 192.0.2.1:53" or "icmp 10.0.0.1 >
// 192.0.2.1 id 7".
func (t Tuple) String() string {
	switch {
	case t.isICMP():
		return fmt.Sprintf("%s %v > %v id %d", probe.ProtocolName(t.Proto), t.Src, t.Dst, t.ICMPID)
	case t.SrcPort == 0 && t.DstPort == 0:
		return fmt.Sprintf("%s %v > %v", probe.ProtocolName(t.Proto), t.Src, t.Dst)
	}
	return fmt.Sprintf("%s %v > %v", probe.ProtocolName(t.Proto), t.Source(), t.Destination())
}

func (t Tuple) isICMP() bool { return t.Proto == unix.IPPROTO_ICMP || t.Proto == unix.IPPROTO_ICMPV6 }

// Entry is what the kernel knows of one flow.
type Entry struct {
	// ID tells the entry from earlier ones of the same flow. Trace events of
	// newer kernels have it, too.
	ID uint32
	// Original is the flow's first packet as it came, before any translation.
	// Reply is what a reply has when it comes, before it is translated back.
	Original, Reply Tuple
	Zone            uint16 // connection tracking zone: 0 unless rules set one
	Status          Status
	Mark            uint32 // ct mark
	// Timeout is how long the entry lives without a packet. Events that end an
	// entry do not have it.
	Timeout time.Duration
	// TCP is the state of a TCP connection, such as "syn-sent", else "".
	TCP string
	// Sent and Received are what went in the original direction, and back,
	// where the kernel counts (sysctl net.netfilter.nf_conntrack_acct), else
	// zero.
	Sent, Received Count
}

// Count is how much went in one direction.
type Count struct{ Packets, Bytes uint64 }

// Status is a set of flags (enum ip_conntrack_status:
// linux/netfilter/nf_conntrack_common.h).
type Status uint32

// The flags that are asked for.
const (
	seenReply Status = 1 << 1  // packets went both ways
	SrcNAT    Status = 1 << 4  // the source is translated
	DstNAT    Status = 1 << 5  // the destination is translated
	offloaded Status = 1 << 14 // a flowtable has it: it passes no hooks now
)

// Unreplied reports that no packet came back.
func (e Entry) Unreplied() bool { return e.Status&seenReply == 0 }

// SNAT returns to what source the flow is translated, port 0 for ICMP, and
// whether it is.
func (e Entry) SNAT() (netip.AddrPort, bool) {
	was, now := e.Original.Source(), e.Reply.Destination()
	return now, was != now
}

// DNAT returns to what destination the flow is translated, port 0 for ICMP, and
// whether it is.
func (e Entry) DNAT() (netip.AddrPort, bool) {
	was, now := e.Original.Destination(), e.Reply.Source()
	return now, was != now
}

// Words says what matters to a person: "unreplied, SNAT to 203.0.113.2:4000".
func (e Entry) Words() string {
	words := []string{"replied"}
	if e.Unreplied() {
		words[0] = "unreplied"
	}
	if e.TCP != "" {
		words = append(words, "tcp "+e.TCP)
	}
	if to, ok := e.SNAT(); ok {
		words = append(words, "SNAT to "+place(to))
	}
	if to, ok := e.DNAT(); ok {
		words = append(words, "DNAT to "+place(to))
	}
	if e.Original.isICMP() && e.Original.ICMPID != e.Reply.ICMPID {
		words = append(words, fmt.Sprintf("ICMP id translated to %d", e.Reply.ICMPID))
	}
	if e.Mark != 0 {
		words = append(words, fmt.Sprintf("mark 0x%x", e.Mark))
	}
	if e.Zone != 0 {
		words = append(words, fmt.Sprintf("zone %d", e.Zone))
	}
	if e.Status&offloaded != 0 {
		words = append(words, "offloaded to a flowtable")
	}
	return strings.Join(words, ", ")
}

// String returns the flow and the words.
func (e Entry) String() string { return e.Original.String() + ": " + e.Words() }

func place(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
