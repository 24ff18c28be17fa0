//go:build linux

package drops

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf/btf"

	"github.com/wgnode/wgnode/probe/host/bpf"
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
	if err := bpf.Find(types, []bpf.Field{
		{Of: "sk_buff", Path: []string{"head"}, To: &l.head},
		{Of: "sk_buff", Path: []string{"network_header"}, To: &l.networkHeader},
		{Of: "sk_buff", Path: []string{"protocol"}, To: &l.protocol},
		{Of: "sk_buff", Path: []string{"len"}, To: &l.length},
		{Of: "sk_buff", Path: []string{"dev"}, To: &l.dev},
		{Of: "sk_buff", Path: []string{"sk"}, To: &l.sock},
		{Of: "net_device", Path: []string{"ifindex"}, To: &l.ifindex},
		{Of: "net_device", Path: []string{"nd_net", "net"}, To: &l.netOfDev},
		{Of: "sock", Path: []string{"__sk_common", "skc_net", "net"}, To: &l.netOfSock},
		{Of: "net", Path: []string{"ns", "inum"}, To: &l.inum},
		{Of: "sk_buff", Path: []string{"_skb_refdst"}, To: &l.route},
		{Of: "dst_entry", Path: []string{"dev"}, To: &l.deviceOfRoute},
	}); err != nil {
		return nil, err
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
	kernel, err := bpf.KernelTypes()
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
