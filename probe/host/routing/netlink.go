//go:build linux

package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// socket is a routing socket, see rtnetlink(7). One goroutine at a time.
type socket struct {
	netlink *nl.NetlinkSocket
	handles map[int]*nl.SocketHandle
	// strict: the kernel heeds what a dump is asked to be restricted to. It does
	// from Linux 4.20 on.
	strict bool
}

func open() (*socket, error) {
	n, err := nl.Subscribe(unix.NETLINK_ROUTE) // to no group
	if err != nil {
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	for _, set := range []func(*unix.Timeval) error{n.SetSendTimeout, n.SetReceiveTimeout} {
		if err := set(&nl.SocketTimeoutTv); err != nil {
			n.Close()
			return nil, fmt.Errorf("set timeout of routing socket: %w", err)
		}
	}
	err = unix.SetsockoptInt(n.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		n.Close()
		return nil, fmt.Errorf("ask routing socket for strict checks: %w", err)
	}
	return &socket{netlink: n, strict: err == nil,
		handles: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: n}}}, nil
}

func (s *socket) close() { s.netlink.Close() }

// message is the body of a request.
type message []byte

func (m message) Len() int          { return len(m) }
func (m message) Serialize() []byte { return m }

// with returns the message with an attribute added.
func (m message) with(kind uint16, value []byte) message {
	return append(m, nl.NewRtAttr(int(kind), value).Serialize()...)
}

func (m message) with32(kind uint16, v uint32) message {
	return m.with(kind, binary.NativeEndian.AppendUint32(nil, v))
}

// request sends a request and calls f for each message of the answer, which it
// may not keep.
func (s *socket) request(kind, flags int, body message, answer uint16, f func(msg []byte)) error {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = s.handles
	req.AddData(body)
	return req.ExecuteIter(unix.NETLINK_ROUTE, answer, func(msg []byte) bool { f(msg); return true })
}

// dump asks for all objects of a kind. The kernel interrupts a dump if objects
// change meanwhile; then begin is called again, to forget what came so far.
func (s *socket) dump(kind int, body message, answer uint16, begin func(), f func(msg []byte)) error {
	const attempts = 5
	var err error
	for range attempts {
		begin()
		err = s.request(kind, unix.NLM_F_DUMP, body, answer, f)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return err
		}
	}
	return err
}

// attributes yields kind and value of each attribute in b, without its flags of
// nesting and byte order. It ends at what is no attribute: the kernel sends none.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if size < unix.SizeofRtAttr || size > len(b) {
				return
			}
			if !yield(kind, b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min(len(b), (size+3)&^3):]
		}
	}
}

// The numbers of attributes are 0 where those are too short.

func u8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

func u16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(b)
}

func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// bigEndian reads a number of any length up to 8 bytes.
func bigEndian(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// ipAddr is the zero Addr if b is not the length of an address.
func ipAddr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// text is a string that ends at its first zero byte.
func text(b []byte) string { return unix.ByteSliceToString(b) }
