//go:build linux

package kernelwg

import (
	"context"
	"errors"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/bpf"
)

// half is a watch at level half: copies of packets, and a program at a tracepoint that every
// decrypted packet passes, alone, with the header of the message that it was in still before it.
type half struct {
	*capture
	program *programs
	close   func() error
}

// startHalf begins to watch at level half, in the network namespace of the calling thread.
func startHalf(opt *Options) (*half, error) {
	if err := bpf.Available(); err != nil {
		return nil, err
	}
	types, err := bpf.KernelTypes()
	if err != nil {
		return nil, err
	}
	var l layout
	of, _ := l.fields()
	if err := bpf.Find(types, of); err != nil {
		return nil, err
	}
	c, err := startCapture(opt, false)
	if err != nil {
		return nil, err
	}
	h := &half{capture: c}
	if h.program, err = loadPrograms(tracepoint(&l, opt)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	h.program.start(c.events)
	if err := h.program.attach(&receives); err != nil {
		return nil, errors.Join(err, h.program.end(), c.Close())
	}
	h.close = sync.OnceValue(func() error { return errors.Join(h.program.end(), h.capture.Close()) })
	return h, nil
}

// receives is the tracepoint.
var receives = hook{function: "napi_gro_receive_entry", what: delivered, code: (*assembler).grouped}

// tracepoint is the program at napi_gro_receive_entry(skb).
func tracepoint(l *layout, opt *Options) *ebpf.CollectionSpec {
	h := &receives
	return &ebpf.CollectionSpec{Maps: maps(), Programs: map[string]*ebpf.ProgramSpec{
		h.name(): {Name: "wgnode_kernelwg", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: h.function,
			License: "Dual MIT/GPL", Instructions: program(l, opt, h)},
	}}
}

// grouped takes a packet of the device that a message's header stands before.
func (a *assembler) grouped() {
	a.argument(packet, 0)
	a.load(packet, a.l.dev)
	a.add(asm.Mov.Reg(device, asm.R1))
	a.here()
	a.load(packet, a.l.data)
	a.add(asm.StoreMem(asm.R10, framePair, asm.R1, asm.DWord), asm.Mov.Reg(pair, asm.R1))
	a.read(frameWord, 4, pair, -16)
	a.add(asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Word), asm.JNE.Imm(asm.R1, probe.TypeData, done))
	a.read(record+atIndex, 4, pair, -12)
	a.read(record+atCounter, 8, pair, -8)
	a.content()
}

// Level implements [Source].
func (h *half) Level() probe.Level { return probe.LevelHalf }

// Lost implements [Source].
func (h *half) Lost() (uint64, error) {
	copies, err := h.capture.Lost()
	records, other := h.program.lost()
	return copies + records, errors.Join(err, other)
}

// Sync implements [Source].
func (h *half) Sync(ctx context.Context) {
	h.program.sync(ctx)
	h.capture.Sync(ctx)
}

// Close implements [Source].
func (h *half) Close() error { return h.close() }
