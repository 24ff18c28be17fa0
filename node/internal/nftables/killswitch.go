//go:build linux

package nftables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// onLAN are destinations that stay on the network of the interface that they
// leave by: RFC 5771 section 4, SSDP, RFC 919, and RFC 4291 section 2.7.
var onLAN = []netip.Prefix{
	netip.MustParsePrefix("224.0.0.0/24"),
	netip.MustParsePrefix("239.255.255.250/32"),
	netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("ff02::/16"),
}

// KillSwitches returns the tunnels that have such a table, in alphabetical order.
func KillSwitches() ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list nftables: %w", err)
	}
	var links []string
	for _, t := range tables {
		if link, ok := strings.CutPrefix(t.Name, killSwitchPrefix); ok {
			links = append(links, link)
		}
	}
	slices.Sort(links)
	return links, nil
}

func (KillSwitch) number() byte { return unix.NFPROTO_INET }

const killSwitchChain = "postrouting"

// compose puts the transaction together. The chain stays if it is there, only
// its rules are replaced, so that there is no moment without it.
func (k KillSwitch) compose(c *nftables.Conn, there *contents, owned bool) error {
	table := message(k)
	if !owned {
		c.AddTable(table)
	}
	c.FlushTable(table)
	k.clear(c, table, there)
	drop := nftables.ChainPolicyDrop
	chain := c.AddChain(&nftables.Chain{Name: killSwitchChain, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityFilter, Policy: &drop})

	rule(c, chain, "this host itself", to("lo"), accept())
	rule(c, chain, "into the tunnel", to(k.Link), accept())
	rule(c, chain, "the tunnel's encrypted packets, and the node's own lookups", marked(k.Mark), accept())
	uplink(c, chain)
	for _, family := range byFamily(k.Excluded) {
		matches, err := toNetworks(c, table, family)
		if err != nil {
			return err
		}
		for _, m := range matches {
			rule(c, chain, "excluded", m, accept())
		}
	}
	if !k.AllowLAN {
		return nil
	}
	for _, n := range k.LAN {
		rule(c, chain, "LAN", to(n.Link), toNetwork(n.Prefix), accept())
	}
	for _, p := range onLAN {
		rule(c, chain, "LAN", toNetwork(p), accept())
	}
	return nil
}

// clear deletes what does not belong into the table, and the chain if it is at
// another place than it should be.
func (k KillSwitch) clear(c *nftables.Conn, table *nftables.Table, there *contents) {
	if there == nil {
		return
	}
	for name, chain := range there.chains {
		if name != killSwitchChain || !chain.is(nftables.ChainTypeFilter, *nftables.ChainHookPostrouting, *nftables.ChainPriorityFilter) {
			c.DelChain(&nftables.Chain{Name: name, Table: table})
		}
	}
	for _, name := range there.sets {
		c.DelSet(&nftables.Set{Name: name, Table: table})
	}
}

// uplink accepts that without which the way to the peers would fail within
// minutes. No router forwards the first three: neighbour discovery is valid only
// with the hop limit 255 (RFC 4861 section 7.1), which forwarding lessens.
func uplink(c *nftables.Conn, chain *nftables.Chain) {
	broadcast, agents := netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("ff02::1:2")
	hopLimit := []expr.Any{&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 7, Len: 1, DestRegister: reg}, equal([]byte{255})}
	for _, t := range []byte{133, 135, 136} { // RFC 4861 section 4
		rule(c, chain, "IPv6 neighbour discovery", icmpv6(t), hopLimit, accept())
	}
	groups := toNetwork(netip.MustParsePrefix("ff02::/16"))
	for _, t := range []byte{131, 132, 143} { // RFC 2710 section 3.1, RFC 3810 section 5.2
		rule(c, chain, "IPv6 multicast listener", groups, icmpv6(t), accept())
	}
	rule(c, chain, "DHCP", toAddress(broadcast), ports(68, 67), accept())
	rule(c, chain, "DHCP renewal", isFamily(broadcast), fromHost(), ports(68, 67), accept())
	rule(c, chain, "DHCPv6", toAddress(agents), ports(546, 547), accept())
}

// icmpv6 is `icmpv6 type TYPE`.
func icmpv6(t byte) []expr.Any {
	return slices.Concat(isFamily(netip.IPv6Unspecified()), isProtocol(unix.IPPROTO_ICMPV6), []expr.Any{
		&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1, DestRegister: reg}, equal([]byte{t})})
}

// byFamily splits prefixes into those of IPv4 and those of IPv6.
func byFamily(prefixes []netip.Prefix) [][]netip.Prefix {
	families := make([][]netip.Prefix, 2)
	for _, p := range prefixes {
		i := 0
		if p.Addr().Is6() {
			i = 1
		}
		families[i] = append(families[i], p)
	}
	return families
}
