//go:build linux

package drops

import (
	"math"

	"github.com/cilium/ebpf/asm"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

// The frame of the program: where it keeps what, from the frame pointer.
const (
	frameHeader  = -HeaderLen          // the packet from its network header
	frameNetwork = frameHeader - 8     // where that is
	frameWord    = frameNetwork - 8    // what was read last
	framePorts   = frameWord - 8       // the first 4 bytes of the transport header
	frameLater   = framePorts - 8      // not 0: a later fragment, which has none
	frameContext = frameLater - 8      // the arguments
	frameIndex   = frameContext - 8    // of the device, 0: none
	frameSpace   = frameIndex - 8      // the inode number of the network namespace, 0: not known
	frameKey     = frameSpace - 24     // of mapPlaces
	frameValue   = frameKey - placeLen // of mapPlaces, for a new key
	frameSegment = frameValue - 8      // 0: selected by a match

	// Of a tunnel alone.
	frameRoute       = frameSegment - 8              // the index of the device that it is routed to, 0: not known
	frameProtocol    = frameRoute - 8                // of the IP header
	frameSource      = frameProtocol - addressKeyLen // a key of mapAddresses, then the class
	frameDestination = frameSource - addressKeyLen   // the same
	frameEnd         = frameDestination              // 512 bytes at most
	_                = uint(frameEnd + 512)          // does not compile otherwise
)

// Registers that keep their values in calls.
const (
	packet = asm.R6
	place  = asm.R7
	reason = asm.R8
	report = asm.R9
)

// assembler collects the program.
type assembler struct {
	l *layout
	// direct has the program load fields of what the tracepoint hands it, whose types the verifier
	// knows, and calls no function for them.
	direct bool
	code   asm.Instructions
}

func (a *assembler) add(ins ...asm.Instruction) { a.code = append(a.code, ins...) }

// read has size bytes from an address of the kernel's, in a register, copied to the frame.
func (a *assembler) read(frame, size int, from asm.Register, offset int32) {
	a.add(bpf.Read(frame, size, from, offset)...)
}

// field has a field of 2, 4 or 8 bytes copied to the frame, from a register whose type the verifier
// knows.
func (a *assembler) field(frame, size int, from asm.Register, offset int32) {
	width := map[int]asm.Size{2: asm.Half, 4: asm.Word, 8: asm.DWord}[size]
	if !a.direct || offset > math.MaxInt16 {
		a.read(frame, size, from, offset)
		return
	}
	a.add(asm.LoadMem(asm.R1, from, int16(offset), width), asm.StoreMem(asm.R10, int16(frame), asm.R1, width))
}

// follow reads a pointer to R1, from a register whose type the verifier knows; then it knows that of
// R1, too.
func (a *assembler) follow(from asm.Register, offset int32) {
	if !a.direct || offset > math.MaxInt16 {
		a.load(from, offset)
		return
	}
	a.add(asm.LoadMem(asm.R1, from, int16(offset), asm.DWord))
}

// load reads a pointer to R1, 0 if it cannot be read.
func (a *assembler) load(from asm.Register, offset int32) {
	a.add(asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.R10, frameWord, asm.R0, asm.DWord))
	a.read(frameWord, 8, from, offset)
	a.add(asm.LoadMem(asm.R1, asm.R10, frameWord, asm.DWord))
}

const done = "done"

// program is what runs for each packet that the kernel drops.
func program(l *layout, opt Options) (asm.Instructions, error) {
	a := &assembler{l: l, direct: !opt.functions}
	a.arguments()
	a.protocol()
	if opt.Tunnel != nil {
		a.where(opt.Namespace) // other hosts' packets are the most, and need no more than that
	}
	a.headers()
	a.add(asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.R10, frameSegment, asm.R0, asm.DWord))
	if opt.Tunnel != nil {
		other := done
		if len(opt.Matches) > 0 {
			other = "other"
		}
		a.tunnel(opt.Tunnel, other)
		if other != done {
			a.add(asm.Ja.Label("selected"), asm.Mov.Imm(asm.R0, 0).WithSymbol(other))
		}
	}
	if opt.Tunnel == nil || len(opt.Matches) > 0 {
		if err := a.matches(opt.Matches); err != nil {
			return nil, err
		}
	}
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("selected"))
	if opt.Tunnel == nil {
		a.where(opt.Namespace)
	}
	a.limit()
	a.send()
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol(done), asm.Return())
	return a.code, nil
}

// arguments takes those of the tracepoint.
func (a *assembler) arguments() {
	a.add(
		asm.StoreMem(asm.R10, frameContext, asm.R1, asm.DWord).WithSymbol("kfree_skb"),
		asm.LoadMem(packet, asm.R1, 0, asm.DWord),
		asm.LoadMem(place, asm.R1, 8, asm.DWord),
		asm.LoadMem(reason, asm.R1, 16, asm.DWord),
	)
}

// protocol leaves alone what is no IP packet.
func (a *assembler) protocol() {
	a.field(frameWord, 2, packet, a.l.protocol)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JEq.Imm(asm.R1, 0x0800, "ip"),
		asm.JNE.Imm(asm.R1, 0x86dd, done),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("ip"),
	)
}

// headers reads the packet's.
func (a *assembler) headers() {
	// The header's offset from the buffer's head.
	a.add(asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.R10, frameNetwork, asm.R0, asm.DWord))
	a.field(frameNetwork, 2, packet, a.l.networkHeader)
	a.follow(packet, a.l.head)
	a.add(
		asm.LoadMem(asm.R2, asm.R10, frameNetwork, asm.DWord),
		asm.Add.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R10, frameNetwork, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R3, asm.R1),
	)
	a.read(frameHeader, HeaderLen, asm.R3, 0)
	a.add(asm.JNE.Imm(asm.R0, 0, done))
	a.transport()
}

// transport finds the ports, which come after a header of 20 to 60 bytes: as a rule they are among
// what was read.
func (a *assembler) transport() {
	a.add(
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.R10, framePorts, asm.R0, asm.DWord),
		asm.StoreMem(asm.R10, frameLater, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R10, frameHeader, asm.Byte),
		asm.LoadMem(asm.R3, asm.R10, frameNetwork, asm.DWord),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.RSh.Imm(asm.R2, 4),
		asm.LoadMem(asm.R5, asm.R10, frameHeader+40, asm.Word),
		asm.JEq.Imm(asm.R2, 6, "ports are read"),
		asm.JNE.Imm(asm.R2, 4, done),
		asm.LoadMem(asm.R2, asm.R10, frameHeader+6, asm.Half),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.And.Imm(asm.R2, 0x1fff),
		asm.StoreMem(asm.R10, frameLater, asm.R2, asm.DWord),
		asm.Mov.Reg(asm.R4, asm.R1),
		asm.And.Imm(asm.R4, 0x0f),
		asm.LSh.Imm(asm.R4, 2),
		asm.LoadMem(asm.R5, asm.R10, frameHeader+20, asm.Word),
		asm.JEq.Imm(asm.R4, 20, "ports are read"),
		asm.Add.Reg(asm.R3, asm.R4),
	)
	a.read(framePorts, 8, asm.R3, 0)
	a.add(
		asm.Ja.Label("ports"),
		asm.StoreMem(asm.R10, framePorts, asm.R5, asm.Word).WithSymbol("ports are read"),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("ports"),
	)
}

// where finds the device and the namespace, which of a packet that has no device is that of
// the socket that sent it or was to receive it, and leaves alone what is known to be of another.
func (a *assembler) where(namespace uint32) {
	a.add(
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.R10, frameIndex, asm.R0, asm.DWord),
		asm.StoreMem(asm.R10, frameSpace, asm.R0, asm.DWord),
	)
	a.follow(packet, a.l.dev)
	a.add(asm.JEq.Imm(asm.R1, 0, "no device"), asm.Mov.Reg(report, asm.R1))
	a.field(frameIndex, 4, report, a.l.ifindex)
	a.follow(report, a.l.netOfDev)
	a.add(asm.Ja.Label("space"))
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("no device"))
	a.follow(packet, a.l.sock)
	a.add(asm.JNE.Imm(asm.R1, 0, "socket"))
	if a.l.receiver { // TCP takes the device off what it has received
		a.add(asm.LoadMem(asm.R1, asm.R10, frameContext, asm.DWord), asm.LoadMem(asm.R1, asm.R1, 24, asm.DWord))
	}
	a.add(asm.JEq.Imm(asm.R1, 0, "spaceless"), asm.Mov.Reg(report, asm.R1).WithSymbol("socket"))
	a.follow(report, a.l.netOfSock)
	a.add(asm.JEq.Imm(asm.R1, 0, "spaceless").WithSymbol("space"), asm.Mov.Reg(report, asm.R1))
	a.field(frameSpace, 4, report, a.l.inum)
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("spaceless"))
	if namespace != 0 {
		a.add(
			asm.LoadMem(asm.R1, asm.R10, frameSpace, asm.Word),
			asm.JEq.Imm(asm.R1, 0, "ours"),
			asm.LoadImm(asm.R2, int64(namespace), asm.DWord),
			asm.JNE.Reg(asm.R1, asm.R2, done),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("ours"),
		)
	}
}

// limit counts the packet at its place, and reports no more than some of a flood from there.
func (a *assembler) limit() {
	a.add(
		asm.StoreMem(asm.R10, frameKey, place, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.R10, frameKey+8, asm.R0, asm.DWord),
		asm.StoreMem(asm.R10, frameKey+8, reason, asm.Word),
		asm.LoadMem(asm.R1, asm.R10, frameIndex, asm.Word),
		asm.StoreMem(asm.R10, frameKey+12, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R10, frameSegment, asm.DWord),
		asm.StoreMem(asm.R10, frameKey+16, asm.R1, asm.DWord),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R10, frameWord, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, 0).WithReference(mapPlaces),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, frameKey),
		asm.FnMapLookupElem.Call(),
		asm.JNE.Imm(asm.R0, 0, "known place"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(asm.R10, frameValue, asm.R1, asm.DWord),
		asm.StoreMem(asm.R10, frameValue+8, asm.R1, asm.DWord),
		asm.LoadMem(asm.R2, asm.R10, frameWord, asm.DWord),
		asm.StoreMem(asm.R10, frameValue+16, asm.R2, asm.DWord),
		asm.StoreMem(asm.R10, frameValue+24, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, 0).WithReference(mapPlaces),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, frameKey),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, frameValue),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Ja.Label("send"),

		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord).WithSymbol("known place"),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.DWord),
		asm.LoadMem(asm.R2, asm.R0, 16, asm.DWord),
		asm.Sub.Reg(asm.R1, asm.R2),
		asm.JLT.Imm(asm.R1, int32(window), "in window"),
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.DWord),
		asm.StoreMem(asm.R0, 16, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.R0, 8, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R0, 8, asm.DWord).WithSymbol("in window"),
		asm.JGE.Imm(asm.R1, perWindow, done),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 8, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R0, 24, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 24, asm.R1, asm.DWord),
	)
}

// send reports the packet.
func (a *assembler) send() {
	a.add(
		asm.LoadMapPtr(asm.R1, 0).WithReference(mapReports).WithSymbol("send"),
		asm.Mov.Imm(asm.R2, recordLen),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JNE.Imm(asm.R0, 0, "room"),
	)
	a.lost()
	a.add(asm.Ja.Label(done))
	a.add(asm.Mov.Reg(report, asm.R0).WithSymbol("room"))
	a.add(
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(report, recordTime, asm.R0, asm.DWord),
		asm.StoreMem(report, recordPlace, place, asm.DWord),
		asm.StoreMem(report, recordReason, reason, asm.Word),
		asm.LoadMem(asm.R1, asm.R10, frameIndex, asm.Word),
		asm.StoreMem(report, recordDevice, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R10, frameSpace, asm.Word),
		asm.StoreMem(report, recordSpace, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.R10, frameWord, asm.R0, asm.DWord),
	)
	a.field(frameWord, 4, packet, a.l.length)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameWord, asm.Word),
		asm.StoreMem(report, recordLength, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(report, recordSocket, asm.R1, asm.DWord),
	)
	if a.l.receiver {
		a.add(
			asm.LoadMem(asm.R1, asm.R10, frameContext, asm.DWord),
			asm.LoadMem(asm.R1, asm.R1, 24, asm.DWord),
			asm.JEq.Imm(asm.R1, 0, "nobody's"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreMem(report, recordSocket, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("nobody's"),
		)
	}
	a.add(asm.LoadMem(asm.R1, asm.R10, frameSegment, asm.DWord), asm.StoreMem(report, recordSegment, asm.R1, asm.Word))
	for i := 0; i < HeaderLen; i += 8 {
		a.add(asm.LoadMem(asm.R1, asm.R10, int16(frameHeader+i), asm.DWord),
			asm.StoreMem(report, int16(recordHeader+i), asm.R1, asm.DWord))
	}
	for i := 0; i < stackLen; i += 8 {
		a.add(asm.StoreMem(report, int16(recordStack+i), asm.R0, asm.DWord))
	}
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameContext, asm.DWord),
		asm.Mov.Reg(asm.R2, report),
		asm.Add.Imm(asm.R2, recordStack),
		asm.Mov.Imm(asm.R3, stackLen),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnGetStack.Call(),
		asm.Mov.Reg(asm.R1, report),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufSubmit.Call(),
	)
}

// lost counts a report that found no room.
func (a *assembler) lost() {
	a.add(
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.R10, frameKey, asm.R1, asm.Word),
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
