//go:build linux

// Package xfrm tells which policies of IPsec refuse a packet.
//
// The kernel asks its IPsec policies (xfrm) right after it has chosen a route, and
// before any hook of netfilter. A policy with the action block has the program that
// sends fail with EPERM, as a firewall's rule does, and no trace shows why.
//
// Functions work in the network namespace of the calling thread.
package xfrm

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Policy is one that blocks, in the words of ip-xfrm(8).
type Policy struct {
	Text   string // "src 0.0.0.0/0 dst 192.0.2.1/32 dir out action block"
	Delete string // the command that takes it away
}

// Blocking returns the policies that block packets of a protocol which this host
// sends to dst, from whatever source. Port 0 is for protocols without ports. A
// policy of a better priority may allow what one of them blocks.
func Blocking(dst netip.AddrPort, proto uint8) ([]Policy, error) {
	family := netlink.FAMILY_V4
	if dst.Addr().Is6() {
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
	for _, p := range all {
		if p.Dir != netlink.XFRM_DIR_OUT || p.Action != netlink.XFRM_POLICY_BLOCK || p.Dst != nil && !p.Dst.Contains(dst.Addr().AsSlice()) ||
			p.Proto != 0 && uint8(p.Proto) != proto || p.DstPort != 0 && p.DstPort != int(dst.Port()) {
			continue
		}
		selector := fmt.Sprintf("src %s dst %s", words(p.Src, dst.Addr()), words(p.Dst, dst.Addr()))
		if p.Proto != 0 {
			selector += fmt.Sprintf(" proto %d", p.Proto)
		}
		if p.SrcPort != 0 {
			selector += fmt.Sprintf(" sport %d", p.SrcPort)
		}
		if p.DstPort != 0 {
			selector += fmt.Sprintf(" dport %d", p.DstPort)
		}
		blocking = append(blocking, Policy{Text: selector + " dir out action block", Delete: fmt.Sprintf("ip xfrm policy delete dir out index %d", p.Index)})
	}
	return blocking, nil
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
