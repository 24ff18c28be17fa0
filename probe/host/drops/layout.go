//go:build linux

package drops

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf/btf"
)

// layout is where the running kernel keeps what the program reads.
type layout struct {
	// Offsets in bytes, and what they are in.
	head, networkHeader, protocol, length, dev, sock int32 // struct sk_buff
	ifindex, netOfDev                                int32 // struct net_device
	netOfSock                                        int32 // struct sock
	inum                                             int32 // struct net
	route                                            int32 // struct sk_buff
	deviceOfRoute                                    int32 // struct dst_entry

	// receiver says that the tracepoint tells which socket was to receive the packet: Linux 6.11.
	receiver bool
	reasons  map[uint32]string // enum skb_drop_reason, without SKB_DROP_REASON_
}

// readLayout reads it from the types that the kernel describes (BTF).
func readLayout(types *btf.Spec) (*layout, error) {
	var l layout
	for _, f := range []struct {
		of   string
		path []string
		to   *int32
	}{
		{"sk_buff", []string{"head"}, &l.head},
		{"sk_buff", []string{"network_header"}, &l.networkHeader},
		{"sk_buff", []string{"protocol"}, &l.protocol},
		{"sk_buff", []string{"len"}, &l.length},
		{"sk_buff", []string{"dev"}, &l.dev},
		{"sk_buff", []string{"sk"}, &l.sock},
		{"net_device", []string{"ifindex"}, &l.ifindex},
		{"net_device", []string{"nd_net", "net"}, &l.netOfDev},
		{"sock", []string{"__sk_common", "skc_net", "net"}, &l.netOfSock},
		{"net", []string{"ns", "inum"}, &l.inum},
		{"sk_buff", []string{"_skb_refdst"}, &l.route},
		{"dst_entry", []string{"dev"}, &l.deviceOfRoute},
	} {
		var s *btf.Struct
		if err := types.TypeByName(f.of, &s); err != nil {
			return nil, fmt.Errorf("find struct %s in the kernel's types: %w", f.of, err)
		}
		at, err := offset(s, f.path)
		if err != nil {
			return nil, fmt.Errorf("find %s in struct %s of the kernel: %w", f.path, f.of, err)
		}
		*f.to = at
	}
	n, err := arguments(types)
	if err != nil {
		return nil, err
	}
	if n < 3 {
		return nil, errNoReasons
	}
	l.receiver = n > 3
	var e *btf.Enum
	if err := types.TypeByName("skb_drop_reason", &e); err != nil {
		return nil, fmt.Errorf("find the kernel's reasons for drops: %w", err)
	}
	l.reasons = make(map[uint32]string, len(e.Values))
	for _, v := range e.Values {
		l.reasons[uint32(v.Value)] = trimReason(v.Name)
	}
	return &l, nil
}

// Reasons are the names of the reasons that this kernel may give. They are for everybody to
// read.
func Reasons() ([]string, error) {
	kernel, err := kernelTypes()
	if err != nil {
		return nil, err
	}
	l, err := readLayout(kernel)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Values(l.reasons))
	slices.Sort(names)
	return names, nil
}

// arguments is how many the tracepoint has: the packet and the place, from Linux 5.17 the
// reason, from 6.11 the socket that was to receive it.
func arguments(types *btf.Spec) (int, error) {
	var t *btf.Typedef
	if err := types.TypeByName("btf_trace_kfree_skb", &t); err != nil {
		return 0, fmt.Errorf("find the tracepoint kfree_skb: %w", err)
	}
	if p, ok := t.Type.(*btf.Pointer); ok {
		if f, ok := p.Target.(*btf.FuncProto); ok {
			return len(f.Params) - 1, nil // the first is the tracepoint's own
		}
	}
	return 0, fmt.Errorf("find the tracepoint kfree_skb: it is %v", t.Type)
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
