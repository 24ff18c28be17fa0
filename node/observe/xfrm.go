//go:build linux

package observe

import (
	"net/netip"
	"strings"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/xfrm"
)

// SendBlocks are the policies of IPsec that keep this host from sending to an address.
func SendBlocks(to netip.AddrPort, proto uint8) []evidence.XfrmBlock {
	return xfrmBlocks(xfrm.Packet{Dst: to, Proto: proto}, xfrm.Out)
}

// Blocks are the policies of IPsec that do not let the packet go on from where it was
// seen last. t is what was seen on its segment.
func (p *Packet) Blocks(t *evidence.Traversal) []evidence.XfrmBlock {
	last := xfrm.Packet{Src: p.Last.Source(), Dst: p.Last.Destination(), Proto: p.Last.Proto}
	switch {
	case t.Lost == netfilter.Prerouting.String():
		return xfrmBlocks(last, xfrm.Forward, xfrm.Out)
	case t.Lost == "" && t.Drop == nil && t.Passed == netfilter.Input.String():
		return xfrmBlocks(last, xfrm.In)
	}
	return nil
}

// DropBlocks are the policies of IPsec for which the kernel has dropped a packet.
func DropBlocks(d *evidence.KernelDrop, proto uint8) []evidence.XfrmBlock {
	pkt := xfrm.Packet{Src: d.Src, Dst: d.Dst, Proto: proto}
	if strings.HasSuffix(d.Place, "_forward") {
		return xfrmBlocks(pkt, xfrm.Forward, xfrm.Out)
	}
	return xfrmBlocks(pkt, xfrm.In)
}

func xfrmBlocks(p xfrm.Packet, dirs ...xfrm.Direction) []evidence.XfrmBlock {
	policies, err := xfrm.Blocking(p, dirs...)
	if err != nil {
		return nil // a kernel without IPsec has none
	}
	var all []evidence.XfrmBlock
	for _, policy := range policies {
		all = append(all, evidence.XfrmBlock{Text: "IPsec policy: " + policy.Text, Fix: policy.Delete})
	}
	return all
}
