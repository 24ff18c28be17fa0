//go:build linux

package explain

import (
	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/host/xfrm"
)

// services tells which ports stand for a service: the others were made up for
// one connection, and the next one has another.
func services(f *diagnose.Facts, s evidence.Segment, pkt *netfilter.Packet) observe.Ports {
	h := pkt.Last
	translated := uint16(0) // the service's, where a port forward leads to it
	switch {
	case f.Side == probe.SideB && s == evidence.FromTunnel, f.Side == probe.SideA && s == evidence.ToTunnel:
		translated = h.DstPort
	case s == evidence.ToTunnel, s == evidence.FromTunnel:
		translated = h.SrcPort
	}
	return func(port uint16) bool {
		switch {
		case port == 0:
			return false
		case port == translated:
			return true
		case f.Flow != nil && port == f.Flow.Target.Port(), port == f.ListenPort:
			return true
		}
		return f.Peer != nil && port == f.Peer.Endpoint.Port()
	}
}

// refusedBy are the policies of IPsec that do not let a packet go on from where it
// was seen last.
func refusedBy(p *evidence.Traversal, h netfilter.Header) []evidence.XfrmBlock {
	pkt := xfrm.Packet{Src: h.Source(), Dst: h.Destination(), Proto: h.Proto}
	switch {
	case p.Lost == "prerouting":
		return refusals(pkt, xfrm.Forward, xfrm.Out)
	case p.Lost == "" && p.Drop == nil && p.Passed == "input":
		return refusals(pkt, xfrm.In)
	}
	return nil
}
