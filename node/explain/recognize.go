//go:build linux

package explain

import (
	"net/netip"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/host/conntrack"
)

// askedAtMost bounds how often connection tracking is asked: others may be busy with the
// same service.
const askedAtMost = 256

// recognize finds out whether a packet that enters the tunnel for the target is the probe
// although it comes from another port: this host may have translated its source.
func (x *explanation) recognize(e *probe.Event) {
	if x.id == 0 || !x.Kernel || x.translated || x.flow.Seen[probe.A1] != nil || x.asked >= askedAtMost || !x.resembles(e) {
		return
	}
	x.asked++
	src, dst := e.Inner()
	answer := conntrack.Tuple{Src: dst.Addr(), Dst: src.Addr(), Proto: e.Proto}
	if e.Proto == probe.ProtoTCP || e.Proto == probe.ProtoUDP {
		answer.SrcPort, answer.DstPort = dst.Port(), src.Port()
	} else {
		answer.ICMPType, answer.ICMPID = echoReply[e.Proto], e.InnerSrcPort
	}
	c, err := conntrack.Get(answer, 0)
	if err != nil || c.Original.Dst != x.flow.Target.Addr() || max(c.Original.SrcPort, c.Original.ICMPID) != x.id {
		return // without connection tracking nothing is translated
	}
	x.translated = true
	x.flow.Client = netip.AddrPortFrom(netip.Addr{}, e.InnerSrcPort)
}

// resembles reports whether a packet enters the tunnel as the probe would that has another
// port.
func (x *explanation) resembles(e *probe.Event) bool {
	if e.Seam != probe.SeamTUNRead || e.InnerSrcPort == x.id || e.InnerDst != probe.AddrFrom(x.flow.Target.Addr()) {
		return false
	}
	switch e.Proto {
	case probe.ProtoUDP:
		return x.flow.UDP && e.InnerDstPort == x.flow.Target.Port()
	case probe.ProtoTCP:
		return !x.flow.UDP && e.Opens() && e.InnerDstPort == x.flow.Target.Port()
	}
	return !x.flow.UDP && e.Opens()
}

// echoReply is the type of ICMP and ICMPv6 echo replies.
var echoReply = map[uint8]uint8{probe.ProtoICMP: 0, probe.ProtoICMPv6: 129}
