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
	"time"

	"golang.org/x/net/bpf"

	"github.com/wgnode/wgnode/probe"
)

// refusals is a source that also has the ICMP errors about the device's messages. The kernel's
// WireGuard leaves them unread. Anybody can send one, so that it has the index of our message only if
// it quotes one that was sent to where its peer is.
type refusals struct {
	Source
	copies *os.File
	rec    *probe.Recorder
	told   func(probe.Level, *probe.Event)
	port   uint16
	own    *ownAddrs
	local  func(netip.Addr) bool // own's
	synced chan struct{}
	done   chan struct{}
	once   func() error
	asked  time.Time // when the source was asked for all last, by who reads the errors

	mu    sync.Mutex
	sent  map[index]probe.PeerID          // guarded by mu: by the index in messages, which the off-path does not know
	where map[probe.PeerID]netip.AddrPort // guarded by mu: the latest message was sent to
	at    map[netip.AddrPort]probe.PeerID // guarded by mu: as the kernel has told of the device
}

// withRefusals has start begin a source, and adds the ICMP errors. Where these cannot be had there
// are none.
func withRefusals(opt Options, start func(*Options) (Source, error)) (Source, error) {
	r := &refusals{rec: opt.Recorder, told: opt.Saw, port: opt.Port, synced: make(chan struct{}, 1), done: make(chan struct{}),
		sent: make(map[index]probe.PeerID), where: make(map[probe.PeerID]netip.AddrPort), at: make(map[netip.AddrPort]probe.PeerID)}
	opt.Saw = r.saw
	var err error
	if r.Source, err = start(&opt); err != nil {
		return nil, err
	}
	if r.open() != nil {
		opt.Saw = nil
		return r.Source, nil
	}
	r.once = sync.OnceValue(r.end)
	go func() {
		defer close(r.done)
		_ = readCopies(r.copies, r.synced, r.take) // what was read counts
	}()
	return r, nil
}

func (r *refusals) open() (err error) {
	if r.port == 0 {
		return errors.New("the device has no port yet")
	}
	if r.own, err = newOwnAddrs(); err != nil {
		return err
	}
	r.local = r.own.has
	if r.copies, err = packets(0, unreachables()); err != nil {
		r.own.ask.Close()
		return fmt.Errorf("copy ICMP errors: %w", err)
	}
	return nil
}

// unreachables lets ICMP errors pass which say that a packet did not arrive.
func unreachables() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 9},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 4, SkipTrue: 13},
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: probe.ProtoICMP, SkipTrue: 11},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 9},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 3, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 11, SkipTrue: 4, SkipFalse: 5},
		bpf.LoadAbsolute{Off: 6, Size: 1}, // of IPv6
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: probe.ProtoICMPv6, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 40, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 3, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	}
}

// sentKept bounds the indices that are remembered. A peer begins a session in two minutes.
const sentKept = 4096

// saw remembers the index of a message that is sent, and where it is sent to.
func (r *refusals) saw(level probe.Level, e *probe.Event) {
	if e.Seam == probe.SeamUDPSend && e.Peer != 0 {
		r.remember(e)
	}
	if r.told != nil {
		r.told(level, e)
	}
}

func (r *refusals) remember(e *probe.Event) {
	k := index{index: e.Receiver}
	if e.Kind == probe.KindInitiation || e.Kind == probe.KindResponse {
		k = index{true, e.Sender}
	}
	_, dst := e.Outer()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent[k] != e.Peer {
		if len(r.sent) >= sentKept {
			clear(r.sent)
		}
		r.sent[k] = e.Peer
	}
	if dst.IsValid() && r.where[e.Peer] != dst {
		r.where[e.Peer] = dst
	}
}

// Know implements [Source].
func (r *refusals) Know(d *Device) {
	r.Source.Know(d)
	at := endpointsOf(d, r.Source.Peers())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = at
}

// take records an ICMP error about one of our messages.
func (r *refusals) take(p *copied) {
	e, msg, ok := refusal(p, r.port, r.local)
	if !ok {
		return
	}
	_, dst := e.Outer()
	if len(msg) >= 8 {
		k := index{index: binary.LittleEndian.Uint32(msg[4:])}
		kind := binary.LittleEndian.Uint32(msg)
		k.own = kind == probe.TypeInitiation || kind == probe.TypeResponse
		e.Peer = r.whose(k, dst)
		if e.Peer == 0 && time.Since(r.asked) >= askPace { // the message may be told later than its answer
			ctx, cancel := context.WithTimeout(context.Background(), askTime)
			r.Source.Sync(ctx)
			cancel()
			r.asked = time.Now()
			e.Peer = r.whose(k, dst)
		}
		switch {
		case e.Peer == 0:
		case k.own:
			e.Sender = k.index
		default:
			e.Receiver = k.index
		}
	}
	if e.Peer == 0 {
		r.mu.Lock()
		e.Peer = r.at[dst]
		r.mu.Unlock()
	}
	log{r.rec, r.Level(), r.told}.Record(probe.LaneControl, &e)
}

const (
	// askPace is between two times that the source is asked for all that has happened because an
	// error quotes what was not told yet: anybody can send errors. askTime bounds each.
	askPace = 100 * time.Millisecond
	askTime = time.Second
)

// whose is the peer that a message with an index was sent to, if it is where that was sent.
func (r *refusals) whose(k index, dst netip.AddrPort) probe.PeerID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if peer := r.sent[k]; r.where[peer] == dst {
		return peer
	}
	return 0
}

// refusal reads an ICMP error that quotes a datagram from a port of this host's, and returns what
// it quotes of that behind the UDP header.
func refusal(p *copied, port uint16, local func(netip.Addr) bool) (e probe.Event, msg []byte, ok bool) {
	from, to, body := packetOf(p.b)
	if p.out || p.other || len(body) < 8 || !local(to) {
		return e, nil, false
	}
	src, dst, msg := datagramOf(body[8:])
	if src.Port() != port || !local(src.Addr()) || !dst.IsValid() {
		return e, nil, false
	}
	e = probe.Event{Time: p.at, Seam: probe.SeamDevice, Kind: probe.KindICMP, PrefixBits: probe.NoPrefix,
		Reason: probe.ICMPReason(from.Is6(), body[0], body[1]), OuterSrc: probe.AddrFrom(from),
		OuterDst: probe.AddrFrom(dst.Addr()), OuterDstPort: dst.Port()}
	e.SetICMP(body[0], body[1])
	return e, msg, true
}

// Sync implements [Source].
func (r *refusals) Sync(ctx context.Context) {
	r.Source.Sync(ctx)
	syncCopies(ctx, []*os.File{r.copies}, []chan struct{}{r.synced})
}

// Close implements [Source].
func (r *refusals) Close() error { return r.once() }

func (r *refusals) end() error {
	err := r.copies.Close()
	<-r.done
	r.own.ask.Close()
	return errors.Join(r.Source.Close(), err)
}
