//go:build linux

package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nfgenmsg is the length of the header before the attributes of each message.
const nfgenmsg = 4

// Messages of ctnetlink (enum cntl_msg_types).
const (
	msgNew = unix.NFNL_SUBSYS_CTNETLINK<<8 + iota
	msgGet
)

// ErrNotFound says that the table has no entry of a flow.
var ErrNotFound = errors.New("connection tracking has no entry of the flow")

// Get returns the entry of which t is the original or the reply direction. The
// error wraps [ErrNotFound] if there is none.
func Get(t Tuple, zone uint16) (Entry, error) {
	fail := func(err error) (Entry, error) { return Entry{}, fmt.Errorf("look up connection %v: %w", t, err) }
	if !t.Src.IsValid() || !t.Dst.IsValid() || t.Src.Is4() != t.Dst.Is4() {
		return fail(errors.New("it needs two addresses of one family"))
	}
	c, err := dial()
	if err != nil {
		return fail(err)
	}
	defer c.Close()
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.Nested(ctaTupleOrig, t.encode)
	if zone != 0 {
		ae.Uint16(ctaZone, zone)
	}
	attrs, err := ae.Encode()
	if err != nil {
		return fail(err)
	}
	family := uint8(unix.AF_INET6)
	if t.Dst.Is4() {
		family = unix.AF_INET
	}
	answer, err := ask(c, message(family, 0, attrs))
	if errors.Is(err, unix.ENOENT) {
		err = ErrNotFound
	}
	if err != nil {
		return fail(explain(err))
	}
	e, err := decode(answer.Data)
	if err != nil {
		return fail(err)
	}
	return e, nil
}

// ask sends a request that has one answer. The kernel marks that as the first of
// several (NLM_F_MULTI) and sends no others: Conn.Execute would wait for them.
func ask(c *netlink.Conn, m netlink.Message) (netlink.Message, error) {
	m, err := c.Send(m)
	if err != nil {
		return m, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return m, err
	}
	b := make([]byte, 16<<10)
	n, failed := 0, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = unix.Recvfrom(int(fd), b, 0)
			if !errors.Is(failed, unix.EINTR) {
				return !errors.Is(failed, unix.EAGAIN)
			}
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return m, fmt.Errorf("receive: %w", err)
	}
	if err := m.UnmarshalBinary(b[:n]); err != nil {
		return m, err
	}
	if m.Header.Type == netlink.Error {
		if len(m.Data) < 4 {
			return m, errors.New("error message is cut short")
		}
		return m, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
	}
	return m, nil
}

// all returns the entries of both families. Where a firewall tracks a million
// flows it takes a second or so: prefer [Get]. The sequence ends after an
// error.
func all() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		fail := func(err error) { yield(Entry{}, fmt.Errorf("list connections: %w", err)) }
		c, err := dial()
		if err != nil {
			fail(err)
			return
		}
		defer c.Close()
		if _, err := c.Send(message(unix.AF_UNSPEC, netlink.Dump, nil)); err != nil {
			fail(err)
			return
		}
		for m, err := range c.ReceiveIter() {
			if err != nil {
				fail(explain(err))
				return
			}
			e, err := decode(m.Data)
			if err != nil {
				fail(err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Find returns the first entry that the function accepts. The error wraps
// [ErrNotFound] if there is none.
func Find(accept func(Entry) bool) (Entry, error) {
	for e, err := range all() {
		if err != nil {
			return Entry{}, err
		}
		if accept(e) {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("list connections: %w", ErrNotFound)
}

// Available returns nil if the table can be read in the network namespace of
// the calling thread, and else why not, in words for the user.
func Available() error {
	c, err := dial()
	if err != nil {
		return err
	}
	defer c.Close()
	// Any request tells, so ask for one that changes nothing and answers little.
	none := []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}
	const getStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5 // IPCTNL_MSG_CT_GET_STATS: the number of entries
	_, err = ask(c, netlink.Message{Header: netlink.Header{Type: getStats, Flags: netlink.Request}, Data: none})
	if errors.Is(err, unix.EINVAL) { // an unknown subsystem of nfnetlink
		err = unix.EOPNOTSUPP
	}
	return explain(err)
}

func message(family uint8, flags netlink.HeaderFlags, attrs []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: msgGet, Flags: netlink.Request | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attrs...),
	}
}

func dial() (*netlink.Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: 64 << 10})
	if err != nil {
		return nil, fmt.Errorf("open nfnetlink: %w", explain(err))
	}
	return c, nil
}

// explain words the errors that mean that there is nothing to be read here.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("the capability CAP_NET_ADMIN is missing: %w", err)
	case errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("this kernel has no connection tracking: %w", err)
	}
	return err
}
