//go:build linux

package kernelwg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
)

// capture is a watch at level capture: copies of the packets that pass the device, and of the
// messages that pass this host's other devices.
type capture struct {
	inner, outer *os.File
	events       *captured
	own          *ownAddrs
	lost         atomic.Uint64
	done         sync.WaitGroup
	synced       [2]chan struct{} // one each where all that was there has been read
	syncing      sync.Mutex       // held by the one who waits for that
	failed       [2]error         // valid after done
	close        func() error
}

// captureBuffer is how many bytes wait in a socket for this process, at most.
const captureBuffer = 4 << 20

// startCapture begins to watch at level capture, in the network namespace of the calling
// thread; whole, or without the packets that leave the tunnel.
func startCapture(opt *Options, whole bool) (*capture, error) {
	if opt.Port == 0 {
		return nil, errors.New("copy packets: the device has no port yet")
	}
	own, err := newOwnAddrs()
	if err != nil {
		return nil, err
	}
	level := probe.LevelHalf
	if whole {
		level = probe.LevelCapture
	}
	c := &capture{events: newCaptured(opt, level, own.has), own: own}
	c.events.outward = !whole
	c.close = sync.OnceValue(c.end)
	if c.inner, err = packets(int(opt.Device), nil); err != nil {
		own.ask.Close()
		return nil, fmt.Errorf("copy the packets of the device: %w", copying(err))
	}
	if c.outer, err = packets(0, messagesOf(opt.Port)); err != nil {
		own.ask.Close()
		return nil, errors.Join(fmt.Errorf("copy the messages of the device: %w", copying(err)), c.inner.Close())
	}
	for i, f := range []*os.File{c.inner, c.outer} {
		take := c.events.inner
		if f == c.outer {
			take = c.events.outer
		}
		c.synced[i] = make(chan struct{}, 1)
		c.done.Go(func() { c.failed[i] = readCopies(f, c.synced[i], take) })
	}
	return c, nil
}

// copying says what a refusal lacks.
func copying(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %w", err, ErrCopies)
	}
	return err
}

// ownAddrs are the addresses of this host: what others send to others through it is not the
// device's.
type ownAddrs struct {
	ask  *netlink.Handle // in the host's network namespace, whoever asks
	all  map[netip.Addr]bool
	read time.Time
}

// again is how long an address that is not known is taken for another host's before the
// kernel is asked once more.
const again = 100 * time.Millisecond

func newOwnAddrs() (*ownAddrs, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("list this host's addresses: %w", err)
	}
	return &ownAddrs{ask: h}, nil
}

// has reports whether an address is this host's. It is for one goroutine.
func (o *ownAddrs) has(a netip.Addr) bool {
	if o.all[a] || time.Since(o.read) < again {
		return o.all[a]
	}
	o.read = time.Now()
	list, err := o.ask.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return false // another time
	}
	o.all = make(map[netip.Addr]bool, len(list))
	for _, l := range list {
		if ip, ok := netip.AddrFromSlice(l.IP); ok {
			o.all[ip.Unmap()] = true
		}
	}
	return o.all[a]
}

// packets opens a socket that has a copy of each packet of a device, 0 for all devices, that
// a filter lets pass.
func packets(device int, filter []bpf.Instruction) (*os.File, error) {
	// Of no protocol until it has its filter, so that nothing else comes before.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if filter != nil {
		err = attach(fd, filter)
	}
	if err == nil {
		// More than the system allows takes CAP_NET_ADMIN: what fits is enough.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1))
	}
	if err == nil {
		protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device}))
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "packets"), nil
}

func attach(fd int, filter []bpf.Instruction) error {
	code, err := bpf.Assemble(filter)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	raw := make([]unix.SockFilter, len(code))
	for i, op := range code {
		raw[i] = unix.SockFilter{Code: op.Op, Jt: op.Jt, Jf: op.Jf, K: op.K}
	}
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}
	return os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog))
}

// messagesOf lets datagrams from or to a port pass that begin as WireGuard's messages do.
func messagesOf(port uint16) []bpf.Instruction {
	const (
		take   = 0xfe // where to skip to
		refuse = 0xff
	)
	code := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 7},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 4, SkipTrue: refuse},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: probe.ProtoUDP, SkipTrue: refuse},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: refuse},
		bpf.LoadMemShift{Off: 0},
		bpf.Jump{Skip: 3},
		bpf.LoadAbsolute{Off: 6, Size: 1}, // of IPv6
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: probe.ProtoUDP, SkipTrue: refuse},
		bpf.LoadConstant{Dst: bpf.RegX, Val: 40},
		bpf.LoadIndirect{Off: 8, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x00ffffff, SkipTrue: refuse},
		bpf.LoadIndirect{Off: 0, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipTrue: take},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(port), SkipTrue: refuse},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
	for i, op := range code {
		jump, ok := op.(bpf.JumpIf)
		switch {
		case ok && jump.SkipTrue == take:
			jump.SkipTrue = uint8(len(code) - 3 - i)
			code[i] = jump
		case ok && jump.SkipTrue == refuse:
			jump.SkipTrue = uint8(len(code) - 2 - i)
			code[i] = jump
		}
	}
	return code
}

// Sync implements [Source].
func (c *capture) Sync(ctx context.Context) {
	c.syncing.Lock()
	defer c.syncing.Unlock()
	syncCopies(ctx, []*os.File{c.inner, c.outer}, c.synced[:])
}

// syncCopies returns when what is there has been read of each, or ctx ends.
func syncCopies(ctx context.Context, files []*os.File, synced []chan struct{}) {
	for i, f := range files {
		select {
		case <-synced[i]: // of who has waited no longer
		default:
		}
		if f.SetReadDeadline(time.Unix(1, 0)) != nil {
			return // the watch has ended
		}
	}
	for i := range synced {
		select {
		case <-synced[i]:
		case <-ctx.Done():
			return
		}
	}
}

// readCopies hands packets over until the socket is closed. When its deadline is over it hands over
// what is there, says so, and goes on.
func readCopies(f *os.File, synced chan struct{}, take func(*copied)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("copy packets: %w", err)
	}
	buf, oob := make([]byte, maxMessage), make([]byte, 128)
	for {
		var n, nc int
		var from unix.Sockaddr
		var got error
		receive := func(fd uintptr) bool {
			n, nc, _, from, got = unix.Recvmsg(int(fd), buf, oob, 0)
			return !errors.Is(got, unix.EAGAIN)
		}
		err := raw.Read(receive)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = raw.Control(func(fd uintptr) { receive(fd) })
		}
		switch {
		case err == nil && errors.Is(got, unix.EAGAIN):
			if f.SetReadDeadline(time.Time{}) != nil {
				return nil // closed
			}
			told(synced)
			continue
		case err != nil:
			return nil // closed
		case errors.Is(got, unix.ENETDOWN), errors.Is(got, unix.EINTR):
			continue
		case got != nil:
			return fmt.Errorf("copy packets: %w", got)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok {
			take(&copied{b: buf[:n], at: stamp(oob[:nc]), out: link.Pkttype == unix.PACKET_OUTGOING,
				other: link.Pkttype == unix.PACKET_OTHERHOST, device: link.Ifindex})
		}
	}
}

// stamp is the time that the kernel has noted with a packet.
func stamp(oob []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Now().UnixNano()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return (*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Nano()
		}
	}
	return time.Now().UnixNano()
}

// Level implements [Source].
func (c *capture) Level() probe.Level { return probe.LevelCapture }

// Peers implements [Source].
func (c *capture) Peers() *Peers { return c.events.peers }

// Know implements [Source].
func (c *capture) Know(d *Device) { c.events.know(d) }

// Lost implements [Source].
func (c *capture) Lost() (uint64, error) {
	for _, f := range []*os.File{c.inner, c.outer} {
		raw, err := f.SyscallConn()
		var stats *unix.TpacketStats
		var got error
		if err == nil {
			err = raw.Control(func(fd uintptr) {
				stats, got = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
			})
		}
		if err = errors.Join(err, got); err != nil {
			return 0, fmt.Errorf("read how many packets were not copied: %w", err)
		}
		c.lost.Add(uint64(stats.Drops)) // since it was asked last
	}
	return c.lost.Load(), nil
}

// Close implements [Source].
func (c *capture) Close() error { return c.close() }

func (c *capture) end() error {
	err := errors.Join(c.inner.Close(), c.outer.Close())
	c.done.Wait()
	c.own.ask.Close()
	return errors.Join(err, c.failed[0], c.failed[1])
}
