//go:build linux

package drops

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Classes of addresses, in the map of them.
const (
	classInner = 1 << iota
	classLocal
)

// addressKey is a prefix as the map has it: its bits, then family and address.
type addressKey struct {
	Bits   uint32
	Family [4]byte
	Addr   [16]byte
}

const addressKeyLen = 24

func keyOf(p netip.Prefix) addressKey {
	p = p.Masked()
	k := addressKey{Bits: 32 + uint32(p.Bits())}
	k.Family[0] = 6
	if p.Addr().Is4() {
		k.Family[0] = 4
	}
	copy(k.Addr[:], p.Addr().AsSlice())
	return k
}

// classes are what the prefixes mean, with all that shorter ones say of them.
func (a *Addresses) classes() map[addressKey]uint32 {
	all := make(map[addressKey]uint32, len(a.Inner)+len(a.Other)+len(a.Local))
	for _, p := range a.Other {
		all[keyOf(p)] = 0
	}
	for _, p := range a.Inner {
		all[keyOf(p)] = classInner
	}
	for _, l := range a.Local {
		k := keyOf(netip.PrefixFrom(l, l.BitLen()))
		all[k] |= classLocal
		if inner := longest(a.Inner, l); inner > longest(a.Other, l) {
			all[k] |= classInner
		}
	}
	return all
}

// longest is how many bits the longest prefix has that an address is in, -1 for none.
func longest(all []netip.Prefix, a netip.Addr) int {
	bits := -1
	for _, p := range all {
		if p.Contains(a) {
			bits = max(bits, p.Bits())
		}
	}
	return bits
}

// SetAddresses replaces those of the tunnel.
func (w *Watcher) SetAddresses(a Addresses) error {
	m := w.maps.Maps[mapAddresses]
	if m == nil {
		return errors.New("select dropped packets by address: no tunnel is watched")
	}
	next := a.classes()
	for k, class := range next {
		if err := m.Put(k, class); err != nil {
			return fmt.Errorf("select dropped packets by address: %w", err)
		}
	}
	var k addressKey
	var class uint32
	var gone []addressKey
	it := m.Iterate()
	for it.Next(&k, &class) {
		if _, ok := next[k]; !ok {
			gone = append(gone, k)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("select dropped packets by address: %w", err)
	}
	for _, k := range gone {
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("select dropped packets by address: %w", err)
		}
	}
	return nil
}

// route finds the device that the packet is routed to, also before it is there.
func (a *assembler) route() {
	a.add(asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.R10, frameRoute, asm.R0, asm.DWord))
	a.follow(packet, a.l.route)
	a.add(
		asm.And.Imm(asm.R1, ^1), // its lowest bit says who frees it
		asm.JEq.Imm(asm.R1, 0, "no route"),
		asm.Mov.Reg(report, asm.R1),
	)
	a.load(report, a.l.deviceOfRoute)
	a.add(asm.JEq.Imm(asm.R1, 0, "no route"), asm.Mov.Reg(report, asm.R1))
	a.read(frameRoute, 4, report, a.l.ifindex)
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("no route"))
}

// tunnel goes to other with what is not the tunnel's, and says of the rest which segment it is on.
func (a *assembler) tunnel(t *Tunnel, other string) {
	a.route()
	if t.Device != 0 {
		for _, index := range []int16{frameIndex, frameRoute} {
			a.add(asm.LoadMem(asm.R1, asm.R10, index, asm.Word), asm.JEq.Imm(asm.R1, int32(t.Device), "inner"))
		}
	}
	a.ends()
	a.classOf(frameSource, "source")
	a.classOf(frameDestination, "destination")
	a.encrypted(t.Port)
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameSource, asm.DWord),
		asm.LoadMem(asm.R2, asm.R10, frameDestination, asm.DWord),
		asm.Or.Reg(asm.R1, asm.R2),
		asm.And.Imm(asm.R1, classInner),
		asm.JEq.Imm(asm.R1, 0, other),
		asm.Mov.Imm(asm.R0, int32(SegmentInner)).WithSymbol("inner"),
		asm.Ja.Label("segment"),
		asm.Mov.Imm(asm.R0, int32(SegmentOuter)).WithSymbol("outer"),
		asm.StoreMem(asm.R10, frameSegment, asm.R0, asm.DWord).WithSymbol("segment"),
	)
}

// ends copies the addresses of the packet's header to keys of the map.
func (a *assembler) ends() {
	a.add(asm.Mov.Imm(asm.R0, 0))
	for i := int16(0); i < addressKeyLen; i += 8 {
		a.add(asm.StoreMem(asm.R10, frameSource+i, asm.R0, asm.DWord), asm.StoreMem(asm.R10, frameDestination+i, asm.R0, asm.DWord))
	}
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameHeader, asm.Byte),
		asm.RSh.Imm(asm.R1, 4),
		asm.StoreMem(asm.R10, frameSource+4, asm.R1, asm.Byte),
		asm.StoreMem(asm.R10, frameDestination+4, asm.R1, asm.Byte),
		asm.JEq.Imm(asm.R1, 6, "ends of IPv6"),
	)
	end := func(to, at int16, bits int32) {
		a.add(asm.Mov.Imm(asm.R1, 32+bits), asm.StoreMem(asm.R10, to, asm.R1, asm.Word))
		for i := int16(0); i < int16(bits/8); i += 4 {
			a.add(asm.LoadMem(asm.R1, asm.R10, frameHeader+at+i, asm.Word), asm.StoreMem(asm.R10, to+8+i, asm.R1, asm.Word))
		}
	}
	protocol := func(at int16) {
		a.add(asm.LoadMem(asm.R1, asm.R10, frameHeader+at, asm.Byte), asm.StoreMem(asm.R10, frameProtocol, asm.R1, asm.DWord))
	}
	protocol(9)
	end(frameSource, 12, 32)
	end(frameDestination, 16, 32)
	a.add(asm.Ja.Label("ends"), asm.Mov.Imm(asm.R0, 0).WithSymbol("ends of IPv6"))
	protocol(6)
	end(frameSource, 8, 128)
	end(frameDestination, 24, 128)
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("ends"))
}

// classOf puts in place of an address what it is, 0 if that is not known.
func (a *assembler) classOf(frame int, name string) {
	a.add(
		asm.LoadMapPtr(asm.R1, 0).WithReference(mapAddresses),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, int32(frame)),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "class of "+name),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.Word),
		asm.StoreMem(asm.R10, int16(frame), asm.R0, asm.DWord).WithSymbol("class of "+name),
	)
}

// encrypted goes to outer with what is from the port, or to it.
func (a *assembler) encrypted(port uint16) {
	if port == 0 {
		return
	}
	a.add(
		asm.LoadMem(asm.R1, asm.R10, frameLater, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "no port"),
		asm.LoadMem(asm.R1, asm.R10, frameProtocol, asm.DWord),
		asm.JNE.Imm(asm.R1, unix.IPPROTO_UDP, "no port"),
	)
	for i, end := range []int16{frameSource, frameDestination} {
		next := fmt.Sprintf("port %d", i)
		a.port(port, i*2, next)
		a.add(
			asm.LoadMem(asm.R1, asm.R10, end, asm.DWord),
			asm.And.Imm(asm.R1, classLocal),
			asm.JNE.Imm(asm.R1, 0, "outer"),
			asm.Mov.Imm(asm.R0, 0).WithSymbol(next),
		)
	}
	a.add(asm.Mov.Imm(asm.R0, 0).WithSymbol("no port"))
}

// addressMap is the map of addresses. It grows with what is in it.
func addressMap() *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: mapAddresses, Type: ebpf.LPMTrie, KeySize: addressKeyLen, ValueSize: 4, MaxEntries: 1 << 20,
		Flags: unix.BPF_F_NO_PREALLOC}
}
