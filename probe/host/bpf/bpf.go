//go:build linux

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Available says what keeps this process from watching the kernel, nil if nothing is known to.
func Available() error {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return fmt.Errorf("%w: %w", ErrTypes, err)
	}
	head, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("read this process's capabilities: %w", err)
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	if !has(unix.CAP_SYS_ADMIN) && !(has(unix.CAP_BPF) && has(unix.CAP_PERFMON)) {
		return ErrRights
	}
	// Root of a user namespace seems to have all, and has them there alone.
	ids, err := os.ReadFile("/proc/self/uid_map")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no /proc, or that of another PID namespace: the kernel will say
	}
	if err != nil {
		return fmt.Errorf("read which user namespace this is: %w", err)
	}
	if f := strings.Fields(string(ids)); len(f) == 3 && f[2] != "4294967295" || len(f) > 3 {
		return fmt.Errorf("%w: this is root of a user namespace, not of the host", ErrRights)
	}
	return nil
}

// Refused says what a refusal of the kernel's lacks.
func Refused(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) && !errors.As(err, new(*ebpf.VerifierError)) {
		return fmt.Errorf("%w: %w", err, ErrRights)
	}
	return err
}

// types are those that the kernel and its modules describe: each is read once, which takes
// some tenths of a second.
var (
	typesMu sync.Mutex
	types   = btf.NewCache() // guarded by typesMu
)

// KernelTypes are those that the kernel itself describes.
func KernelTypes() (*btf.Spec, error) {
	typesMu.Lock()
	defer typesMu.Unlock()
	spec, err := types.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's types: %w", err)
	}
	return spec, nil
}

// ModuleTypes are those that a module describes, with the kernel's.
func ModuleTypes(module string) (*btf.Spec, error) {
	typesMu.Lock()
	defer typesMu.Unlock()
	spec, err := types.Module(module)
	if err != nil {
		return nil, fmt.Errorf("read the types of the kernel's module %s: %w", module, err)
	}
	return spec, nil
}

// Load loads programs and their maps.
func Load(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	typesMu.Lock()
	defer typesMu.Unlock()
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: types})
	if err != nil {
		return nil, Refused(err)
	}
	return c, nil
}

// Field is a member of a struct, and where it is to be stored how many bytes from the struct's
// beginning it has been found.
type Field struct {
	Of   string // struct
	Path []string
	To   *int32
}

// Find finds fields in types.
func Find(spec *btf.Spec, fields []Field) error {
	for _, f := range fields {
		var s *btf.Struct
		if err := spec.TypeByName(f.Of, &s); err != nil {
			return fmt.Errorf("find struct %s in the kernel's types: %w", f.Of, err)
		}
		at, err := offset(s, f.Path)
		if err != nil {
			return fmt.Errorf("find %s in struct %s of the kernel: %w", f.Path, f.Of, err)
		}
		*f.To = at
	}
	return nil
}

// offset is where a member of a member is, through unnamed structs and unions.
func offset(t btf.Type, path []string) (int32, error) {
	var at btf.Bits
	for _, name := range path {
		in, next, ok := member(t, name)
		if !ok {
			return 0, fmt.Errorf("there is no %s", name)
		}
		at, t = at+in, next
	}
	return int32(at.Bytes()), nil
}

func member(t btf.Type, name string) (btf.Bits, btf.Type, bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	if i := slices.IndexFunc(members, func(m btf.Member) bool { return m.Name == name }); i >= 0 {
		return members[i].Offset, members[i].Type, true
	}
	for _, m := range members {
		if m.Name == "" {
			if at, found, ok := member(m.Type, name); ok {
				return m.Offset + at, found, true
			}
		}
	}
	return 0, nil, false
}

// Monotonic is the reading, in nanoseconds, of the clock that counts from the host's start,
// which programs read.
func Monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // does not fail for this clock
	return ts.Nano()
}

// Since is the time at a reading of that clock.
func Since(ns uint64) time.Time { return time.Now().Add(time.Duration(int64(ns) - Monotonic())) }

// Read has a program copy size bytes from an address of the kernel's, in a register, to the
// frame: zeros where it cannot be read.
func Read(frame, size int, from asm.Register, offset int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R3, from),
		asm.Add.Imm(asm.R3, offset),
		asm.Mov.Reg(asm.R1, asm.R10),
		asm.Add.Imm(asm.R1, int32(frame)),
		asm.Mov.Imm(asm.R2, int32(size)),
		asm.FnProbeReadKernel.Call(),
	}
}

// Total is the sum over all processors of the first entry of a map that counts for each.
func Total(m *ebpf.Map) (uint64, error) {
	var each []uint64
	if err := m.Lookup(uint32(0), &each); err != nil {
		return 0, err
	}
	var n uint64
	for _, v := range each {
		n += v
	}
	return n, nil
}
