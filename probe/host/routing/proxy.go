//go:build linux

package routing

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/harmless"
)

// Proxy returns whether this host answers on a link for an address that is in the link's own
// network and that it routes elsewhere, as a client's in the tunnel may be: who answers such a
// client asks on the link for it (ARP, NDP). It returns nil for an address outside of that
// network, and where that cannot be found out.
func (s *Snapshot) Proxy(a netip.Addr, link string) *evidence.Proxy {
	a = a.Unmap().WithZone("")
	l := s.Link(link)
	if l == nil || !l.Resolves || !slices.ContainsFunc(l.Addrs, func(own Addr) bool {
		return own.Peer.Masked().Contains(a) && !own.Peer.IsSingleIP() && own.Prefix.Addr() != a
	}) {
		return nil
	}
	listed, err := proxies(a, l.Index)
	if err != nil {
		return nil
	}
	p := &evidence.Proxy{Addr: a, Link: link}
	if a.Is4() {
		one := Setting{sysctlName("ipv4", link, "proxy_arp"), l.conf4.proxyARP}
		p.Answers = listed || s.all4.proxyARP != 0 || one.Value != 0
		p.Evidence = fmt.Sprintf("%s, net.ipv4.conf.all.proxy_arp = %d, ip neigh show proxy: %s", one, s.all4.proxyARP, inList(listed))
		if !p.Answers {
			p.Fix = []string{harmless.Command("sysctl -w %s=1", one.Name)}
		}
		return p
	}
	one := Setting{sysctlName("ipv6", link, "proxy_ndp"), l.conf6.proxyNDP}
	forwarding := Setting{sysctlName("ipv6", link, "forwarding"), l.conf6.forwarding} // ndisc_recv_ns asks for it, too
	enabled := s.all6.proxyNDP != 0 || one.Value != 0
	p.Answers = listed && enabled && forwarding.Value != 0
	p.Evidence = fmt.Sprintf("%s, net.ipv6.conf.all.proxy_ndp = %d, %s, ip -6 neigh show proxy: %s", one, s.all6.proxyNDP, forwarding,
		inList(listed))
	if !enabled {
		p.Fix = append(p.Fix, harmless.Command("sysctl -w %s=1", one.Name))
	}
	if forwarding.Value == 0 {
		p.Fix = append(p.Fix, harmless.Command("sysctl -w %s=1", forwarding.Name))
	}
	if !listed {
		p.Fix = append(p.Fix, harmless.Command("ip -6 neigh add proxy %s dev %s", a, link))
	}
	return p
}

func inList(listed bool) string {
	if listed {
		return "it is there"
	}
	return "it is not there"
}

// proxies reports whether the kernel's list of addresses that it answers for has one, on a
// link or on all.
func proxies(a netip.Addr, link int) (bool, error) {
	sock, err := open()
	if err != nil {
		return false, err
	}
	defer sock.close()
	body := make(message, unix.SizeofNdMsg)
	if body[0] = unix.AF_INET; a.Is6() {
		body[0] = unix.AF_INET6
	}
	body[10] = unix.NTF_PROXY
	found := false
	err = sock.dump(unix.RTM_GETNEIGH, body, unix.RTM_NEWNEIGH, func() { found = false }, func(msg []byte) {
		if len(msg) < unix.SizeofNdMsg || msg[10]&unix.NTF_PROXY == 0 {
			return
		}
		index := int(int32(u32(msg[4:])))
		for kind, v := range attributes(msg[unix.SizeofNdMsg:]) {
			if kind == unix.NDA_DST && ipAddr(v) == a && (index == 0 || index == link) {
				found = true
			}
		}
	})
	if err != nil {
		return false, fmt.Errorf("list proxy neighbors: %w", err)
	}
	return found, nil
}
