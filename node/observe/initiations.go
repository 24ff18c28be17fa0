//go:build linux

package observe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// initiations is the source of the handshake initiations that come in at this host's
// devices, before any rule can drop them: an initiation says whose it is only to who has
// the node's private key and all of its bytes, of which netfilter's trace has the first few.
type initiations struct {
	to   chan Observation
	stop context.CancelFunc // nil: nothing is heard
	done chan struct{}

	heard heard
	mu    sync.Mutex
	file  *os.File // guarded by mu: nil while nothing is heard
	mark  int64    // guarded by mu: that is asked for, 0 for none
}

// heard counts what is heard, so that strangers cannot keep the session busy.
type heard struct {
	since time.Time
	n     int
}

// more reports whether one more may be heard: else it counts as anybody's.
func (h *heard) more(now time.Time) bool {
	if now.Sub(h.since) > heardWindow {
		*h = heard{since: now}
	}
	h.n++
	return h.n <= heardAtMost
}

func newInitiations() Source { return &initiations{to: make(chan Observation)} }

// Start begins to hear what comes to the port of the encrypted packets that are selected,
// in the network namespace of the calling thread.
func (n *initiations) Start(ctx context.Context, sel Selection) error {
	n.end()
	i := slices.IndexFunc(sel.Packets, func(m Match) bool { return m.On == evidence.FromWire && !m.Quoted && m.DstPort != 0 })
	if i < 0 {
		return nil
	}
	f, err := listenInitiations(sel.Packets[i].DstPort) // the tunnel's, of all that there are
	if err != nil {
		return fmt.Errorf("who sends handshakes that do not come to the tunnel is not known: %w", err)
	}
	ctx, n.stop = context.WithCancel(ctx)
	n.done = make(chan struct{})
	n.mu.Lock()
	n.file, n.mark = f, 0
	n.mu.Unlock()
	go n.read(ctx, f)
	return nil
}

func (n *initiations) read(ctx context.Context, f *os.File) {
	defer close(n.done)
	closing := sync.OnceFunc(func() {
		n.mu.Lock()
		n.file = nil
		n.mu.Unlock()
		_ = f.Close() // nothing was written
	})
	defer closing()
	defer context.AfterFunc(ctx, closing)() // which ends Read
	buf := make([]byte, 1<<16)
	for {
		size, err := f.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = n.drain(ctx, f, buf)
		} else if err == nil {
			err = n.take(ctx, buf[:size])
		}
		if err != nil && !errors.Is(err, unix.ENETDOWN) { // a device is gone
			if ctx.Err() == nil {
				n.tell(ctx, Observation{Unseen: fmt.Sprintf("handshakes as they come in are not read any more: %v", err)})
			}
			return
		}
	}
}

// take delivers the initiation in a packet, if there is one.
func (n *initiations) take(ctx context.Context, packet []byte) error {
	msg := initiationOf(packet)
	if msg == nil || !n.heard.more(time.Now()) || n.tell(ctx, Observation{Initiation: bytes.Clone(msg)}) {
		return nil
	}
	return ctx.Err()
}

// drain delivers what has come in up to now, and the mark that was asked for.
func (n *initiations) drain(ctx context.Context, f *os.File, buf []byte) error {
	n.mu.Lock()
	mark := n.mark
	n.mark = 0
	err := f.SetReadDeadline(time.Time{})
	n.mu.Unlock()
	raw, err2 := f.SyscallConn()
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	for err == nil {
		var size int
		failed := raw.Read(func(fd uintptr) bool {
			size, err = unix.Read(int(fd), buf) // which does not wait
			return true
		})
		switch err = errors.Join(err, failed); {
		case err == nil:
			err = n.take(ctx, buf[:size])
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.EINTR):
			err = nil
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		return err
	}
	if mark != 0 && !n.tell(ctx, Observation{mark: mark}) {
		return ctx.Err()
	}
	return nil
}

// Sync implements [Syncer].
func (n *initiations) Sync(mark int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.file == nil {
		return false
	}
	n.mark = mark
	return n.file.SetReadDeadline(time.Now()) == nil // which ends Read
}

// tell delivers an observation, unless it is over first.
func (n *initiations) tell(ctx context.Context, o Observation) bool { return deliver(ctx, n.to, o) }

// How many messages are heard in a time at most.
const (
	heardWindow = 100 * time.Millisecond
	heardAtMost = 20
)

// initiationOf is the message in an IP packet that initiationsTo has let pass; nil if it is
// cut short.
func initiationOf(packet []byte) []byte {
	at := 40 + 8
	if len(packet) > 0 && packet[0]>>4 == 4 {
		at = int(packet[0]&0x0f)*4 + 8
	}
	if len(packet) < at+probe.LenInitiation {
		return nil
	}
	return packet[at : at+probe.LenInitiation]
}

// listenInitiations opens a socket that has a copy of what comes in at any device.
func listenInitiations(port uint16) (*os.File, error) {
	filter, err := bpf.Assemble(initiationsTo(port))
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	// Of no protocol until it has its filter, so that nothing else comes before.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	raw := make([]unix.SockFilter, len(filter))
	for i, op := range filter {
		raw[i] = unix.SockFilter{Code: op.Op, Jt: op.Jt, Jf: op.Jf, K: op.K}
	}
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}
	err = errors.Join(unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1))
	if err == nil {
		// All protocols: one that names its own has packets only after rules at ingress.
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL)})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen to all devices: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "packets"), nil
}

// bigEndian is a protocol's number as the kernel has it in an address.
func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// initiationsTo is a filter of IP packets: it lets whole datagrams to the port pass that have
// the length and the type of an initiation.
func initiationsTo(port uint16) []bpf.Instruction {
	const (
		size     = 8 + probe.LenInitiation
		typed    = probe.TypeInitiation << 24 // and three bytes of zeros
		fragment = 0x3fff                     // more of them, or an offset
		refuse   = 0xff                       // where to skip to: the end
	)
	unless := func(cond bpf.JumpTest, val uint32) bpf.Instruction {
		return bpf.JumpIf{Cond: cond, Val: val, SkipTrue: refuse}
	}
	code := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 7},
		unless(bpf.JumpNotEqual, 4),
		bpf.LoadAbsolute{Off: 9, Size: 1},
		unless(bpf.JumpNotEqual, uint32(probe.ProtoUDP)),
		bpf.LoadAbsolute{Off: 6, Size: 2},
		unless(bpf.JumpBitsSet, fragment),
		bpf.LoadMemShift{Off: 0},
		bpf.Jump{Skip: 3},
		bpf.LoadAbsolute{Off: 6, Size: 1}, // of IPv6
		unless(bpf.JumpNotEqual, uint32(probe.ProtoUDP)),
		bpf.LoadConstant{Dst: bpf.RegX, Val: 40},
		bpf.LoadIndirect{Off: 2, Size: 2},
		unless(bpf.JumpNotEqual, uint32(port)),
		bpf.LoadIndirect{Off: 4, Size: 2},
		unless(bpf.JumpNotEqual, size),
		bpf.LoadIndirect{Off: 8, Size: 4},
		unless(bpf.JumpNotEqual, typed),
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
	for i, op := range code {
		if jump, ok := op.(bpf.JumpIf); ok && jump.SkipTrue == refuse {
			jump.SkipTrue = uint8(len(code) - 2 - i)
			code[i] = jump
		}
	}
	return code
}

// Observations implements [Source].
func (n *initiations) Observations() <-chan Observation { return n.to }

// Unseen implements [Source].
func (n *initiations) Unseen() []string { return nil }

// Close ends the hearing.
func (n *initiations) Close() error {
	n.end()
	return nil
}

func (n *initiations) end() {
	if n.stop == nil {
		return
	}
	n.stop()
	<-n.done
	n.stop = nil
}
