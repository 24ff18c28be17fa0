//go:build linux

package kernelwg

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/wgnode/wgnode/probe/host/bpf"
)

// module is the name of the kernel's WireGuard.
const module = "wireguard"

// layout is where the running kernel and its WireGuard keep what the programs read. Offsets
// are in bytes.
type layout struct {
	head, data, length, dataLength, network, transport, control, dev int32 // struct sk_buff

	nonce, pair int32 // struct packet_cb, which is in sk_buff.cb

	device, allowed, checker, port int32 // struct wg_device
	ifindex, netOfDev              int32 // struct net_device
	inum                           int32 // struct net

	owner, endpoint, key, serial int32 // struct wg_peer

	own, peer, remote, initiator int32 // struct noise_keypair
	state, handshakeOf, entry    int32 // struct noise_handshake
}

// fields are what of it the kernel's types say, and what those of the module.
func (l *layout) fields() (kernel, wireguard []bpf.Field) {
	kernel = []bpf.Field{
		{Of: "sk_buff", Path: []string{"head"}, To: &l.head},
		{Of: "sk_buff", Path: []string{"data"}, To: &l.data},
		{Of: "sk_buff", Path: []string{"len"}, To: &l.length},
		{Of: "sk_buff", Path: []string{"data_len"}, To: &l.dataLength},
		{Of: "sk_buff", Path: []string{"network_header"}, To: &l.network},
		{Of: "sk_buff", Path: []string{"transport_header"}, To: &l.transport},
		{Of: "sk_buff", Path: []string{"cb"}, To: &l.control},
		{Of: "sk_buff", Path: []string{"dev"}, To: &l.dev},
		{Of: "net_device", Path: []string{"ifindex"}, To: &l.ifindex},
		{Of: "net_device", Path: []string{"nd_net", "net"}, To: &l.netOfDev},
		{Of: "net", Path: []string{"ns", "inum"}, To: &l.inum},
	}
	wireguard = []bpf.Field{
		{Of: "packet_cb", Path: []string{"nonce"}, To: &l.nonce},
		{Of: "packet_cb", Path: []string{"keypair"}, To: &l.pair},
		{Of: "wg_device", Path: []string{"dev"}, To: &l.device},
		{Of: "wg_device", Path: []string{"peer_allowedips"}, To: &l.allowed},
		{Of: "wg_device", Path: []string{"cookie_checker"}, To: &l.checker},
		{Of: "wg_device", Path: []string{"incoming_port"}, To: &l.port},
		{Of: "wg_peer", Path: []string{"device"}, To: &l.owner},
		{Of: "wg_peer", Path: []string{"endpoint"}, To: &l.endpoint},
		{Of: "wg_peer", Path: []string{"handshake", "remote_static"}, To: &l.key},
		{Of: "wg_peer", Path: []string{"internal_id"}, To: &l.serial},
		{Of: "noise_keypair", Path: []string{"entry", "index"}, To: &l.own},
		{Of: "noise_keypair", Path: []string{"entry", "peer"}, To: &l.peer},
		{Of: "noise_keypair", Path: []string{"remote_index"}, To: &l.remote},
		{Of: "noise_keypair", Path: []string{"i_am_the_initiator"}, To: &l.initiator},
		{Of: "noise_handshake", Path: []string{"entry"}, To: &l.entry},
		{Of: "noise_handshake", Path: []string{"entry", "peer"}, To: &l.handshakeOf},
		{Of: "noise_handshake", Path: []string{"state"}, To: &l.state},
	}
	return kernel, wireguard
}

// readLayout reads it from the types that kernel and module describe. The module's contain
// the kernel's.
func readLayout(kernel, wireguard *btf.Spec) (*layout, error) {
	var l layout
	of, in := l.fields()
	if err := bpf.Find(kernel, of); err != nil {
		return nil, err
	}
	if err := bpf.Find(wireguard, in); err != nil {
		return nil, err
	}
	for _, h := range hooks {
		var f *btf.Func
		if err := wireguard.TypeByName(h.function, &f); err != nil {
			return nil, fmt.Errorf("find function %s of the kernel's WireGuard: %w", h.function, err)
		}
		if p, ok := f.Type.(*btf.FuncProto); !ok || len(p.Params) != h.params {
			return nil, fmt.Errorf("find function %s of the kernel's WireGuard: it is %v, want %d parameters", h.function, f.Type, h.params)
		}
	}
	return &l, nil
}
