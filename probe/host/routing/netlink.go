//go:build linux

package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// socket is a routing socket, see rtnetlink(7). One goroutine at a time. It is our own
// since a hub asks for the routes of thousands of endpoints, two questions each: the
// buffers are kept, and a question is two system calls.
type socket struct {
	fd   int
	port uint32               // what the kernel calls it
	seq  uint32               // of the latest request
	to   unix.SockaddrNetlink // the kernel
	out  []byte
	in   *[receiveSize]byte
	// strict: the kernel heeds what a dump is asked to be restricted to. It does
	// from Linux 4.20 on.
	strict bool
}

const (
	// receiveSize is more than the kernel puts into one answer (netlink_dump).
	receiveSize = 64 << 10
	// answerTime bounds the wait for an answer, which is there at once.
	answerTime = 60 // seconds
)

var receiveBuffers = sync.Pool{New: func() any { return new([receiveSize]byte) }}

func open() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open routing socket: %w", err)
	}
	s := &socket{fd: fd, to: unix.SockaddrNetlink{Family: unix.AF_NETLINK}, in: receiveBuffers.Get().(*[receiveSize]byte)}
	if err := s.prepare(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) prepare() error {
	if err := unix.Bind(s.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("bind routing socket: %w", err)
	}
	own, err := unix.Getsockname(s.fd)
	if err != nil {
		return fmt.Errorf("find the port of the routing socket: %w", err)
	}
	s.port = own.(*unix.SockaddrNetlink).Pid
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, option, &unix.Timeval{Sec: answerTime}); err != nil {
			return fmt.Errorf("set timeout of routing socket: %w", err)
		}
	}
	err = unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("ask routing socket for strict checks: %w", err)
	}
	s.strict = err == nil
	return nil
}

func (s *socket) close() {
	_ = unix.Close(s.fd) // nothing is awaited any more
	receiveBuffers.Put(s.in)
	s.in = nil
}

// message is the body of a request.
type message []byte

// with returns the message with an attribute added.
func (m message) with(kind uint16, value []byte) message {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = append(binary.NativeEndian.AppendUint16(m, kind), value...)
	for len(m)%unix.RTA_ALIGNTO != 0 {
		m = append(m, 0)
	}
	return m
}

func (m message) with32(kind uint16, v uint32) message {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], v)
	return m.with(kind, b[:])
}

// errInterrupted is that objects changed while they were listed.
var errInterrupted = errors.New("what is listed changes meanwhile")

// request sends a request and calls f for each message of the answer, which it
// may not keep.
func (s *socket) request(kind, flags int, body message, answer uint16, f func(msg []byte)) error {
	s.seq++
	s.out = binary.NativeEndian.AppendUint32(s.out[:0], uint32(unix.SizeofNlMsghdr+len(body)))
	s.out = binary.NativeEndian.AppendUint16(s.out, uint16(kind))
	s.out = binary.NativeEndian.AppendUint16(s.out, uint16(unix.NLM_F_REQUEST|flags))
	s.out = binary.NativeEndian.AppendUint32(s.out, s.seq)
	s.out = append(binary.NativeEndian.AppendUint32(s.out, s.port), body...)
	if err := again(func() error { return unix.Sendto(s.fd, s.out, 0, &s.to) }); err != nil {
		return err
	}
	interrupted := false
	for {
		var n int
		var from unix.Sockaddr
		err := again(func() (err error) {
			n, from, err = unix.Recvfrom(s.fd, s.in[:], unix.MSG_TRUNC)
			return err
		})
		switch peer, ok := from.(*unix.SockaddrNetlink); {
		case err != nil:
			return err
		case !ok || peer.Pid != 0:
			continue // not the kernel's
		case n > len(s.in):
			return fmt.Errorf("an answer of %d bytes is too long", n)
		}
		for m := range messages(s.in[:n]) {
			if m.seq != s.seq || m.port != s.port {
				continue // of a request that was given up
			}
			interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
			if m.kind == unix.NLMSG_ERROR || m.kind == unix.NLMSG_DONE {
				return m.end(interrupted)
			}
			if m.kind == answer {
				f(m.data)
			}
			if m.flags&unix.NLM_F_MULTI == 0 {
				return nil
			}
		}
	}
}

// again repeats a system call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// netlinkMessage is one of the messages of an answer.
type netlinkMessage struct {
	kind, flags uint16
	seq, port   uint32
	data        []byte
}

// messages yields those in b.
func messages(b []byte) iter.Seq[netlinkMessage] {
	return func(yield func(netlinkMessage) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.SizeofNlMsghdr || size > len(b) {
				return
			}
			if !yield(netlinkMessage{kind: binary.NativeEndian.Uint16(b[4:]), flags: binary.NativeEndian.Uint16(b[6:]),
				seq: binary.NativeEndian.Uint32(b[8:]), port: binary.NativeEndian.Uint32(b[12:]), data: b[unix.SizeofNlMsghdr:size]}) {
				return
			}
			b = b[min(len(b), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
		}
	}
}

// end is what the last message of an answer says.
func (m *netlinkMessage) end(interrupted bool) error {
	if errno := int32(u32(m.data)); errno != 0 {
		return unix.Errno(-errno)
	}
	if interrupted {
		return errInterrupted
	}
	return nil
}

// dump asks for all objects of a kind. The kernel interrupts a dump if objects
// change meanwhile; then begin is called again, to forget what came so far.
func (s *socket) dump(kind int, body message, answer uint16, begin func(), f func(msg []byte)) error {
	const attempts = 5
	var err error
	for range attempts {
		begin()
		err = s.request(kind, unix.NLM_F_DUMP, body, answer, f)
		if !errors.Is(err, errInterrupted) {
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
