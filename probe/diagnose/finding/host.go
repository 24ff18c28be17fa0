package finding

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
)

// oneFamily looks for a full tunnel of one family while packets of the other
// have a way to the internet that is no tunnel.
func oneFamily(f *Facts) []diagnose.Finding {
	if f.KillSwitch {
		return nil
	}
	for _, way := range f.Default {
		p := f.fullTunnel(!way.IPv6)
		if p == nil || f.fullTunnel(way.IPv6) != nil || way.Tunnel || way.Link == f.Interface {
			continue
		}
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if way.IPv6 {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return []diagnose.Finding{{Peer: p.Key,
			Summary: OneFamily(way.IPv6, way.Text),
			Fix: fix.Steps{
				fix.Notef("lead %s into the tunnel as well, even if %s has none: it then leaks nothing. In %s:",
					family(way.IPv6), p.label(), f.sectionOf(p)),
				fix.Config(f.sectionOf(p), "AllowedIPs", fmt.Sprintf("%s, %s", netip.PrefixFrom(other(all.Addr()), 0), all))}}}
	}
	return nil
}

// OneFamily says that packets of a family take a way outside of the tunnel that
// is all of the other's.
func OneFamily(ipv6 bool, way string) string {
	return fmt.Sprintf("all %s packets go through the tunnel, but %s ones leave outside of it: %s", family(!ipv6), family(ipv6), way)
}

func other(unspecified netip.Addr) netip.Addr {
	if unspecified.Is4() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// forwarding looks for packets that this host should pass on and does not: those
// that a peer has sent for others; or else those that two peers who call in can
// be expected to send each other, because one has a network behind it. Peers
// that have only addresses of the tunnel may all want this host alone.
func forwarding(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for _, fw := range f.Forwarding {
		if fw.On {
			continue
		}
		what, sender := f.passedOn(fw.IPv6)
		seen := what != ""
		if !seen {
			what = f.between(fw.IPv6)
		}
		if what == "" {
			continue
		}
		var steps fix.Steps
		if fw.Sysctl != "" {
			steps = fix.Steps{fix.Command("sysctl -w %s=1", fw.Sysctl),
				fix.Note("and to keep it so, in a file in /etc/sysctl.d:"), fix.Config(fix.Where{File: "/etc/sysctl.d"}, fw.Sysctl, "1")}
		}
		found = append(found, diagnose.Finding{Peer: sender, Summary: what + "; " + fw.Evidence, Fix: steps, Failing: seen})
	}
	return found
}

func (f *Facts) passedOn(ipv6 bool) (what string, sender key.Public) {
	for _, p := range f.PassedOn {
		if p.Dst.Is6() == ipv6 {
			return fmt.Sprintf("%s sends packets for %s, which is another host, and they go no further", p.Peer, p.Dst), p.Key
		}
	}
	return "", key.Public{}
}

// unmatched looks for packets that peers sent through this host into the tunnel again,
// to where no peer is.
func unmatched(f *Facts) []diagnose.Finding {
	var found []diagnose.Finding
	for _, p := range f.Unmatched {
		if f.owner(p.Dst) != nil {
			continue // it is by now
		}
		steps := fix.Steps{fix.Notef("add %s to the AllowedIPs of the peer that has it; who has what:", p.Dst),
			fix.Check("wg show %s allowed-ips", f.Interface)}
		if at := f.at(p.Dst); at != nil {
			steps = fix.Steps{fix.Notef("%s is the endpoint of %s, which must be reached past the tunnel: what leads it into %s?",
				p.Dst, at.label(), f.Interface), fix.Check("ip route get %s", p.Dst)}
		}
		found = append(found, diagnose.Finding{Peer: p.Key, Failing: true,
			Summary: fmt.Sprintf("%s sends packets for %s through this host, and %s drops them: "+
				"that address is in no peer's AllowedIPs", p.Peer, p.Dst, f.Interface),
			Fix: steps})
	}
	return found
}

// at is the peer whose endpoint has an address, nil if none has.
func (f *Facts) at(a netip.Addr) *Peer {
	for i := range f.Peers {
		if f.Peers[i].Endpoint.Addr().Unmap() == a {
			return &f.Peers[i]
		}
	}
	return nil
}

// owner is the peer that an address belongs to by cryptokey routing, nil if none has it.
func (f *Facts) owner(a netip.Addr) *Peer {
	var best *Peer
	length := -1
	for i := range f.Peers {
		for _, p := range f.Peers[i].AllowedIPs {
			if p.Contains(a) && p.Bits() > length {
				best, length = &f.Peers[i], p.Bits()
			}
		}
	}
	return best
}

func (f *Facts) between(ipv6 bool) string {
	var network netip.Prefix
	var behind *Peer
	callers := 0
	for i := range f.Peers {
		p := &f.Peers[i]
		has := false
		for _, a := range p.AllowedIPs {
			if a.Addr().Is6() != ipv6 {
				continue
			}
			has = true
			if p.CallsIn && behind == nil && a.Bits() > 1 && !a.IsSingleIP() && !f.within(a) {
				network, behind = a, p
			}
		}
		if has && p.CallsIn {
			callers++
		}
	}
	if behind == nil || callers < 2 {
		return ""
	}
	return fmt.Sprintf("%d peers call in, and %s is behind %s: what the others send there goes no further than this host",
		callers, network, behind.label())
}

// within reports whether a prefix is part of one of the tunnel's own networks.
func (f *Facts) within(p netip.Prefix) bool {
	for _, a := range f.Addresses {
		if a.Bits() <= p.Bits() && a.Masked().Contains(p.Addr()) {
			return true
		}
	}
	return false
}

const (
	// apart is how far two clocks must be from each other to be worth a word.
	// WireGuard itself wants no more than that a clock does not go back.
	apart = 5 * time.Minute
	// slack is by how much the clock of a machine that builds programs may be
	// ahead.
	slack = 24 * time.Hour
)

// clock looks for a clock that is wrong. Which of two is, this host's or the
// peer's, only the kernel can hint at.
func clock(f *Facts) []diagnose.Finding {
	c := &f.Clock
	const stamp = "2006-01-02 15:04:05 MST"
	const set = "timedatectl set-ntp true"
	if !c.Built.IsZero() && !c.Now.IsZero() && c.Now.Before(c.Built.Add(-slack)) {
		return []diagnose.Finding{{
			Summary: fmt.Sprintf("this host's clock says %s, which is before this program was made (%s): "+
				"peers take handshakes for replays if they have seen later ones",
				c.Now.UTC().Format(stamp), c.Built.UTC().Format(stamp)),
			Fix: fix.Steps{fix.Note("set it, and let something keep it right:"), fix.Command(set)}}}
	}
	var off []*Peer
	agree := 0
	for i := range f.Peers {
		p := &f.Peers[i]
		switch {
		case p.Clock.IsZero() || p.ClockAt.IsZero():
		case p.Clock.Sub(p.ClockAt).Abs() < apart:
			agree++
		default:
			off = append(off, p)
		}
	}
	if len(off) == 0 {
		return nil
	}
	p := off[0]
	diff, ahead := p.Clock.Sub(p.ClockAt), "ahead of"
	if diff < 0 {
		ahead = "behind"
	}
	finding := diagnose.Finding{Peer: p.Key,
		Summary: fmt.Sprintf("the clock of %s%s is %v %s this host's: its handshake said %s when it was %s here",
			p.label(), andMore(len(off)-1), diff.Abs().Round(time.Second), ahead, p.Clock.UTC().Format(stamp), p.ClockAt.UTC().Format(stamp)),
		Fix: fix.Steps{fix.Note("on the host whose clock is wrong (date -u shows it); " +
			"one that goes back later has its handshakes taken for replays"), fix.Command(set)}}
	switch {
	case c.Synchronized:
		finding.Summary += "; this host's is synchronized"
	case agree > 0:
		finding.Summary += fmt.Sprintf("; with this host's agree those of %s", probe.Count(agree, "other peer"))
	case len(off) > 1:
		finding.Summary += "; no peer's agrees with this host's"
	default:
		finding.Summary += "; this host's is not known to be synchronized either"
	}
	return []diagnose.Finding{finding}
}
