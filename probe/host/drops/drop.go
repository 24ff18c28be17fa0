package drops

import (
	"errors"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

// HeaderLen is how many bytes of a packet are kept: an IPv6 header, and of WireGuard's
// message the index of the receiver and the counter.
const HeaderLen = 64

var (
	// ErrRights: the process lacks capabilities on the host.
	ErrRights = bpf.ErrRights
	// ErrKernel: the kernel does not tell what it drops, or not enough.
	ErrKernel = errors.New("this kernel does not report what it drops")
)

// Match selects packets by what their headers say. What is zero selects any.
type Match struct {
	Proto            uint8        // of the IP header: probe.ProtoTCP and so on
	Src, Dst         netip.Prefix // at least one of them
	SrcPort, DstPort uint16       // of TCP and UDP
}

// Drop is a packet that the kernel has dropped.
type Drop struct {
	At     time.Time
	Reason string // the kernel's: "NETFILTER_DROP"
	Place  string // the function that dropped it: "nf_hook_slow"; "" if not known
	// Stack are the functions that had called it, the innermost first.
	Stack     []string
	Device    uint32          // the index of the device that it was at, 0 if none
	Namespace uint32          // the inode number of the network namespace, 0 if not known
	Socket    bool            // it was to be received by a socket
	Segment   Segment         // of a tunnel that selected it
	Length    int             // bytes
	Header    [HeaderLen]byte // from the IP header on
}

// Tunnel selects the packets of a WireGuard tunnel.
//
// Those inside of it enter or leave by its interface, are routed to it, or have an address
// of Addresses at either end. The encrypted ones are UDP from the port and an address of
// this host's, or to them; of their later fragments nobody can tell whose they are.
type Tunnel struct {
	Device uint32 // the index of its interface, 0: none
	Port   uint16 // of encrypted packets, 0: none
	Addresses
}

// Addresses say whose packets are which, each by the longest prefix that it is in.
type Addresses struct {
	Inner []netip.Prefix // the tunnel's own, and those behind its peers
	Other []netip.Prefix // what is not, within a shorter prefix of Inner
	Local []netip.Addr   // this host's
}

// Segment is the part of a packet's way through a tunnel.
type Segment uint8

// The segments of a [Tunnel].
const (
	SegmentNone  Segment = iota // selected by a [Match]
	SegmentInner                // inside of the tunnel
	SegmentOuter                // encrypted
)

// String is "inner", "outer" or "".
func (s Segment) String() string { return [...]string{"", "inner", "outer"}[s] }
