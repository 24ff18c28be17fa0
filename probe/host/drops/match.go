//go:build linux

package drops

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf/asm"
)

// matches leaves alone what no match selects.
func (a *assembler) matches(all []Match) error {
	for i, m := range all {
		next := fmt.Sprintf("match %d", i+1)
		if err := a.match(m, next); err != nil {
			return err
		}
		a.add(asm.Ja.Label("matched"))
		a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol(next))
	}
	if len(all) > 0 {
		a.add(asm.Ja.Label(done))
		a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("matched"))
	}
	return nil
}

// match jumps to other if the packet is not one of m.
func (a *assembler) match(m Match, other string) error {
	six := m.Src.IsValid() && m.Src.Addr().Is6() || m.Dst.IsValid() && m.Dst.Addr().Is6()
	four := m.Src.IsValid() && m.Src.Addr().Is4() || m.Dst.IsValid() && m.Dst.Addr().Is4()
	if six == four {
		return fmt.Errorf("select dropped packets: %v is not of one family", m)
	}
	version, src, dst, proto := int32(4), 12, 16, 9
	if six {
		version, src, dst, proto = 6, 8, 24, 6
	}
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameHeader, asm.Byte),
		asm.RSh.Imm(asm.R1, 4),
		asm.JNE.Imm(asm.R1, version, other),
	)
	if m.Proto != 0 {
		a.add(asm.LoadMem(asm.R1, asm.R10, int16(frameHeader+proto), asm.Byte), asm.JNE.Imm(asm.R1, int32(m.Proto), other))
	}
	a.prefix(m.Src, src, other)
	a.prefix(m.Dst, dst, other)
	if m.SrcPort == 0 && m.DstPort == 0 {
		return nil
	}
	skip := other + " has ports"
	a.add(asm.LoadMem(asm.R1, asm.R10, frameLater, asm.DWord), asm.JNE.Imm(asm.R1, 0, skip))
	a.port(m.SrcPort, 0, other)
	a.port(m.DstPort, 2, other)
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol(skip))
	return nil
}

// prefix compares an address word by word.
func (a *assembler) prefix(p netip.Prefix, at int, other string) {
	if !p.IsValid() {
		return
	}
	addr := p.Addr().AsSlice()
	for i, left := 0, p.Bits(); left > 0; i, left = i+4, left-32 {
		mask := ^uint32(0)
		if left < 32 {
			mask <<= 32 - left
		}
		want := binary.BigEndian.Uint32(addr[i:]) & mask
		a.add(
			asm.LoadMem(asm.R1, asm.R10, int16(frameHeader+at+i), asm.Word),
			asm.HostTo(asm.BE, asm.R1, asm.Word),
			asm.LoadImm(asm.R2, int64(mask), asm.DWord),
			asm.And.Reg(asm.R1, asm.R2),
			asm.LoadImm(asm.R2, int64(want), asm.DWord),
			asm.JNE.Reg(asm.R1, asm.R2, other),
		)
	}
}

func (a *assembler) port(port uint16, at int, other string) {
	if port == 0 {
		return
	}
	a.add(
		asm.LoadMem(asm.R1, asm.R10, int16(framePorts+at), asm.Half),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JNE.Imm(asm.R1, int32(port), other),
	)
}
