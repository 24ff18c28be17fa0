//go:build linux

// Package xfrm tells which policies of IPsec refuse a packet.
//
// The kernel asks its IPsec policies (xfrm) where netfilter does not show it: of what
// this host sends right after the route is chosen, before any hook, so that the
// program's send fails with EPERM as if a firewall had said no; of what it forwards
// before the forward hook; of what it receives behind the input hook, where a socket
// takes it (xfrm_policy_check in include/net/xfrm.h). No trace shows why.
//
// Functions work in the network namespace of the calling thread.
package xfrm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/harmless"
)

// Policy is one that blocks, in the words of ip-xfrm(8).
type Policy struct {
	Text   string // "src 0.0.0.0/0 dst 192.0.2.1/32 dir out action block"
	Delete string // the command that takes it away
}

// Direction is what a policy is for: which packets it is asked about.
type Direction = netlink.Dir

const (
	Out     Direction = netlink.XFRM_DIR_OUT // what this host sends, or forwards
	In      Direction = netlink.XFRM_DIR_IN  // what a socket of this host receives
	Forward Direction = netlink.XFRM_DIR_FWD // what this host forwards
)

// Packet is what policies select by. A zero address or port is one that is not known,
// which any selector may mean.
type Packet struct {
	Src, Dst netip.AddrPort
	Proto    uint8
}

// Blocking returns the policies of some directions that do not let a plain packet
// pass: they block it, or want it to have come encrypted. A policy of a better priority
// may allow what one of them does not. Where none of a direction selects the packet, the
// default of that direction is one if it is to block.
func Blocking(pkt Packet, dirs ...Direction) ([]Policy, error) {
	family := netlink.FAMILY_V4
	if pkt.Dst.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	const attempts = 5
	var all []netlink.XfrmPolicy
	var err error
	for range attempts { // a dump is interrupted if policies change meanwhile
		if all, err = netlink.XfrmPolicyList(family); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list IPsec policies: %w", err)
	}
	var blocking []Policy
	selected := make(map[Direction]bool)
	for i := range all {
		p := &all[i]
		if !slices.Contains(dirs, p.Dir) || !selects(p, &pkt) {
			continue
		}
		selected[p.Dir] = true
		if refuses(p) {
			blocking = append(blocking, describe(p, pkt.Dst.Addr()))
		}
	}
	for _, d := range dirs {
		if !selected[d] && slices.Contains(blockedByDefault(), d) {
			blocking = append(blocking, Policy{Text: fmt.Sprintf("none selects them, and the default for dir %s is to block", directions[d]),
				Delete: harmless.Command("ip xfrm policy setdefault %s accept", directions[d])})
		}
	}
	return blocking, nil
}

// From linux/xfrm.h.
const (
	xfrmMsgGetDefault   = 0x28
	xfrmUserpolicyBlock = 1
)

// blockedByDefault are the directions of which packets that no policy selects are refused:
// struct xfrm_userpolicy_default. A kernel before Linux 5.15 has no such default.
func blockedByDefault() []Direction {
	req := nl.NewNetlinkRequest(xfrmMsgGetDefault, 0)
	req.AddRawData([]byte{0, 0, 0})
	answers, err := req.Execute(unix.NETLINK_XFRM, xfrmMsgGetDefault)
	if err != nil || len(answers) != 1 {
		return nil
	}
	var blocked []Direction
	for i, d := range []Direction{In, Forward, Out} {
		if i < len(answers[0]) && answers[0][i] == xfrmUserpolicyBlock {
			blocked = append(blocked, d)
		}
	}
	return blocked
}

// refuses reports whether a policy lets no plain packet pass.
func refuses(p *netlink.XfrmPolicy) bool {
	required := func(t netlink.XfrmPolicyTmpl) bool { return t.Optional == 0 }
	return p.Action == netlink.XFRM_POLICY_BLOCK || p.Dir != netlink.XFRM_DIR_OUT && slices.ContainsFunc(p.Tmpls, required)
}

func selects(p *netlink.XfrmPolicy, pkt *Packet) bool {
	is := func(n *net.IPNet, a netip.Addr) bool { return n == nil || !a.IsValid() || n.Contains(a.AsSlice()) }
	on := func(want int, port uint16) bool { return want == 0 || port == 0 || want == int(port) }
	return is(p.Src, pkt.Src.Addr()) && is(p.Dst, pkt.Dst.Addr()) && (p.Proto == 0 || uint8(p.Proto) == pkt.Proto) &&
		on(p.SrcPort, pkt.Src.Port()) && on(p.DstPort, pkt.Dst.Port())
}

var directions = map[Direction]string{Out: "out", In: "in", Forward: "fwd"}

// describe words a policy for the family of a.
func describe(p *netlink.XfrmPolicy, a netip.Addr) Policy {
	text := fmt.Sprintf("src %s dst %s", words(p.Src, a), words(p.Dst, a))
	if p.Proto != 0 {
		text += fmt.Sprintf(" proto %d", p.Proto)
	}
	if p.SrcPort != 0 {
		text += fmt.Sprintf(" sport %d", p.SrcPort)
	}
	if p.DstPort != 0 {
		text += fmt.Sprintf(" dport %d", p.DstPort)
	}
	verb := "action block"
	if p.Action != netlink.XFRM_POLICY_BLOCK {
		verb = "which wants it encrypted"
	}
	dir := directions[p.Dir]
	return Policy{Text: fmt.Sprintf("%s dir %s %s", text, dir, verb),
		Delete: harmless.Command("ip xfrm policy delete dir %s index %d", dir, p.Index)}
}

// words is a prefix in text, that of all addresses of a's family for nil.
func words(n *net.IPNet, a netip.Addr) string {
	if n != nil {
		return n.String()
	}
	if a.Is6() {
		return "::/0"
	}
	return "0.0.0.0/0"
}
