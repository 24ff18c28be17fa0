package setup

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/internal/uplink"
)

// Ways are how this host reaches the internet.
type Ways struct {
	Four, Six Way
}

// Way is that of one family. The zero Way is none.
type Way struct {
	Link string
	Addr netip.Addr // this host's there, invalid: none
}

// Links are those of both families, without duplicates.
func (w *Ways) Links() []string {
	links := []string{}
	for _, l := range []string{w.Four.Link, w.Six.Link} {
		if l != "" && !slices.Contains(links, l) {
			links = append(links, l)
		}
	}
	return links
}

// Look finds them, in the network namespace of the calling thread: those of the main table,
// whatever a tunnel with a default route has put before it.
func Look() (Ways, error) {
	s, err := uplink.Look([]netip.Addr{stranger[true], stranger[false]}, 0)
	if err != nil {
		return Ways{}, err
	}
	var w Ways
	for _, family := range []struct {
		to    *Way
		usual uplink.Way
		is4   bool
	}{{&w.Four, s.Default4, true}, {&w.Six, s.Default6, false}} {
		*family.to = Way{family.usual.Link, family.usual.Source}
		if there := s.Ways[stranger[family.is4]]; !family.usual.Source.IsValid() && there.Link == family.usual.Link {
			family.to.Addr = there.Source
		}
		if family.to.Link != "" && !family.to.Addr.IsValid() {
			if family.to.Addr, err = addressOf(family.to.Link, family.is4); err != nil {
				return Ways{}, err
			}
		}
	}
	return w, nil
}

// addressOf is an address of a link that is not for the link alone.
func addressOf(link string, is4 bool) (netip.Addr, error) {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find %s: %w", link, err)
	}
	addrs, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list addresses of %s: %w", link, err)
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(p.IP); ok && ip.Unmap().Is4() == is4 && ip.Unmap().IsGlobalUnicast() {
				return ip.Unmap(), nil
			}
		}
	}
	return netip.Addr{}, nil
}
