//go:build linux

package kernelwg

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

// A record of the ring buffer: where is what, in bytes. What a hook does not know is zero.
const (
	atTime      = 0
	atWhat      = 8
	atResult    = 12                // what the function has returned
	atPeer      = 16                // the peer's number, which the kernel does not use again
	atKey       = 24                // its public key
	atIndex     = 56                // of the receiver
	atLength    = 60                // of the packet
	atCounter   = 64                // of the message
	atEndpoint  = 72                // struct sockaddr_in or sockaddr_in6: the peer's, or where a message came from
	atLinear    = atEndpoint + 28   // how much of the packet is in one piece
	atThread    = 104               // that did it
	atPort      = 108               // of the device
	atInitiator = 110               // 1: this host has begun the session
	atSkb       = 112               // tells packets apart
	atHeader    = 120               // the packet's first bytes
	recordLen   = atHeader + header // a multiple of 8

	header    = 192 // an ICMP error with what a wgnode says in it
	cookieLen = 64
)

// The frame of the program: where it keeps what, from the frame pointer.
const (
	record    = -recordLen
	frameWord = record - 8 // what was read last
	framePair = frameWord - 8
	frameKey  = framePair - 8
	_         = uint(frameKey + 512) // does not compile otherwise
)

// Registers that keep their values in calls. Of those that share one, the earlier is done with.
const (
	packet    = asm.R6
	peer      = asm.R7
	device    = asm.R8
	arguments = asm.R9

	pair      = asm.R8
	transport = asm.R8
)

// The maps of the programs.
const (
	mapRecords = "records" // ring buffer
	mapLost    = "lost"    // per processor: records that found no room
)

// assembler collects a program.
type assembler struct {
	l    *layout
	opt  *Options
	code asm.Instructions
}

func (a *assembler) add(ins ...asm.Instruction) { a.code = append(a.code, ins...) }

// argument has an argument of the function, or what it has returned, which comes after them.
func (a *assembler) argument(to asm.Register, n int16) {
	a.add(asm.LoadMem(to, arguments, 8*n, asm.DWord))
}

// boolean takes what the function has returned: of a bool 8 bits say something.
func (a *assembler) boolean(n int16) {
	a.argument(asm.R1, n)
	a.add(asm.And.Imm(asm.R1, 0xff), asm.StoreMem(asm.R10, record+atResult, asm.R1, asm.Word))
}

// read has size bytes from an address of the kernel's copied to the frame, zeros where it
// cannot be read.
func (a *assembler) read(frame, size int, from asm.Register, offset int32) {
	a.add(bpf.Read(frame, size, from, offset)...)
}

// load reads a pointer to R1, 0 if it cannot be read.
func (a *assembler) load(from asm.Register, offset int32) {
	a.read(frameWord, 8, from, offset)
	a.add(asm.LoadMem(asm.R1, asm.R10, frameWord, asm.DWord))
}

const done = "done"

// program is what runs at a hook.
func program(l *layout, opt *Options, h *hook) asm.Instructions {
	a := &assembler{l: l, opt: opt}
	a.add(
		asm.Mov.Reg(arguments, asm.R1).WithSymbol(h.function),
		asm.Mov.Imm(asm.R1, 0),
	)
	for at := frameKey; at < 0; at += 8 {
		a.add(asm.StoreMem(asm.R10, int16(at), asm.R1, asm.DWord))
	}
	h.code(a)
	a.submit(h.what)
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol(done), asm.Return())
	return a.code
}

// ours goes on only for the device that is watched.
func (a *assembler) ours() {
	a.read(record+atPort, 2, device, a.l.port)
	a.load(device, a.l.device)
	a.add(asm.Mov.Reg(device, asm.R1))
	a.here()
}

// here goes on only for the network device that is watched.
func (a *assembler) here() {
	a.read(frameWord, 4, device, a.l.ifindex)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Word),
		asm.JNE.Imm(asm.R1, int32(a.opt.Device), done),
	)
	a.load(device, a.l.netOfDev)
	a.add(asm.Mov.Reg(device, asm.R1))
	a.read(frameWord, 4, device, a.l.inum)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Word),
		asm.LoadImm(asm.R2, int64(a.opt.Namespace), asm.DWord),
		asm.JNE.Reg(asm.R1, asm.R2, done),
	)
}

// whose says which peer it is: its number, its public key and its endpoint. No peer, no
// pointer: then nothing can be read.
func (a *assembler) whose() {
	a.read(record+atPeer, 8, peer, a.l.serial)
	a.read(record+atKey, 32, peer, a.l.key)
	a.read(record+atEndpoint, 28, peer, a.l.endpoint)
}

// content copies the first bytes of the packet.
func (a *assembler) content() {
	a.add(asm.StoreMem(asm.R10, record+atSkb, packet, asm.DWord))
	a.read(record+atLength, 4, packet, a.l.length)
	a.read(frameWord, 4, packet, a.l.dataLength)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, record+atLength, asm.Word),
		asm.LoadMem(asm.R2, asm.R10, frameWord, asm.Word),
		asm.Sub.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R10, record+atLinear, asm.R1, asm.Word),
	)
	a.load(packet, a.l.data)
	a.add(asm.Mov.Reg(asm.R3, asm.R1))
	a.read(record+atHeader, header, asm.R3, 0)
}

// source says where the packet has come from, in the peer's place: the headers outside of
// it still stand before it. It leaves in transport where UDP's is.
func (a *assembler) source() {
	a.add(asm.Mov.Imm(asm.R1, 0))
	for at := record + atEndpoint; at < record+atLinear; at += 4 {
		a.add(asm.StoreMem(asm.R10, int16(at), asm.R1, asm.Word))
	}
	a.load(packet, a.l.head)
	a.add(asm.Mov.Reg(transport, asm.R1), asm.StoreMem(asm.R10, framePair, asm.R1, asm.DWord))
	a.read(frameWord, 2, packet, a.l.transport)
	a.add(asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Half), asm.Add.Reg(transport, asm.R1))
	a.read(frameWord, 2, packet, a.l.network)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Half),
		asm.LoadMem(asm.R2, asm.R10, framePair, asm.DWord),
		asm.Add.Reg(asm.R2, asm.R1),
		asm.StoreMem(asm.R10, framePair, asm.R2, asm.DWord),
		asm.Mov.Reg(asm.R3, asm.R2),
	)
	a.read(frameWord, 1, asm.R3, 0)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Byte),
		asm.RSh.Imm(asm.R1, 4),
		asm.LoadMem(asm.R3, asm.R10, framePair, asm.DWord),
		asm.JEq.Imm(asm.R1, 6, "source6"),
		asm.Mov.Imm(asm.R1, familyIPv4),
		asm.StoreMem(asm.R10, record+atEndpoint, asm.R1, asm.Half),
	)
	a.read(record+atEndpoint+4, 4, asm.R3, 12)
	a.add(
		asm.Ja.Label("port"),
		asm.Mov.Imm(asm.R1, familyIPv6).WithSymbol("source6"),
		asm.StoreMem(asm.R10, record+atEndpoint, asm.R1, asm.Half),
	)
	a.read(record+atEndpoint+8, 16, asm.R3, 8)
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("port"))
	a.read(record+atEndpoint+2, 2, transport, 0)
}

// submit hands the record over, or counts it as lost.
func (a *assembler) submit(w what) {
	a.add(
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R10, record+atTime, asm.R0, asm.DWord),
		asm.FnGetCurrentPidTgid.Call(),
		asm.StoreMem(asm.R10, record+atThread, asm.R0, asm.Word),
		asm.Mov.Imm(asm.R1, int32(w)),
		asm.StoreMem(asm.R10, record+atWhat, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, 0).WithReference(mapRecords),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, record),
		asm.Mov.Imm(asm.R3, recordLen),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, done),
		asm.LoadMapPtr(asm.R1, 0).WithReference(mapLost),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, frameKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, done),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
	)
}

func maps() map[string]*ebpf.MapSpec {
	return map[string]*ebpf.MapSpec{
		mapRecords: {Name: mapRecords, Type: ebpf.RingBuf, MaxEntries: recordsLen},
		mapLost:    {Name: mapLost, Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1},
	}
}

// collection is the programs with their maps.
func collection(l *layout, opt *Options) *ebpf.CollectionSpec {
	spec := &ebpf.CollectionSpec{
		Maps:     maps(),
		Programs: make(map[string]*ebpf.ProgramSpec, len(hooks)),
	}
	for i := range hooks {
		h := &hooks[i]
		spec.Programs[h.name()] = &ebpf.ProgramSpec{
			Name: "wgnode_kernelwg", Type: ebpf.Tracing, AttachType: h.attach(), AttachTo: h.function,
			License: "Dual MIT/GPL", Instructions: program(l, opt, h),
		}
	}
	return spec
}
