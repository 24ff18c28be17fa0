package explain

import (
	"net"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/address"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/host/xfrm"
)

// lacks notes what the interface lacks that the configuration gives it. What cannot
// be read is not claimed to be missing.
func (s *Subject) lacks(f *diagnose.Facts) {
	if !s.Kernel {
		return
	}
	nl, err := net.InterfaceByName(s.Interface)
	if err != nil {
		return
	}
	f.LinkDown = nl.Flags&net.FlagUp == 0
	has, err := address.Prefixes(link.Link{Name: nl.Name, Index: nl.Index})
	if err != nil || s.File == nil {
		return
	}
	for _, p := range s.File.Interface.Addresses {
		if !slices.ContainsFunc(has, func(h netip.Prefix) bool { return h.Addr() == p.Addr() }) {
			f.Missing = append(f.Missing, p)
		}
	}
}

// refusals are the policies of IPsec that block what this host sends to an address.
func refusals(to netip.AddrPort, proto uint8) []diagnose.Refusal {
	policies, err := xfrm.Blocking(to, proto)
	if err != nil {
		return nil // a kernel without IPsec has none
	}
	var all []diagnose.Refusal
	for _, p := range policies {
		all = append(all, diagnose.Refusal{Text: "IPsec policy: " + p.Text, Fix: p.Delete})
	}
	return all
}
