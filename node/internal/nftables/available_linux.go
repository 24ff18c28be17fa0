package nftables

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Available returns nil if the kernel has nftables and lets the caller use it,
// and else why not.
func Available() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	if _, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4); err != nil {
		return fmt.Errorf("list nftables: %w", err)
	}
	return nil
}

// Dropping returns the chains that see what is forwarded and drop it unless a
// rule of theirs accepts it, in nft(8)'s words. What the older interface of
// iptables has set up is not among them.
func Dropping() ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list nftables: %w", err)
	}
	families := map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	}
	var dropping []string
	for _, ch := range chains {
		family, ok := families[ch.Table.Family]
		if ok && ch.Hooknum != nil && *ch.Hooknum == *nftables.ChainHookForward && ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop {
			dropping = append(dropping, fmt.Sprintf("chain %s %s %s", family, ch.Table.Name, ch.Name))
		}
	}
	return dropping, nil
}

func (t Table) number() byte {
	if t.IPv6 {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

func (t Table) compose(c *nftables.Conn, _ *contents, _ bool) error {
	table := replace(c, t)
	preraw := chain(c, table, "preraw", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	premangle := chain(c, table, "premangle", nftables.ChainHookPrerouting, nftables.ChainPriorityMangle)
	postmangle := chain(c, table, "postmangle", nftables.ChainHookPostrouting, nftables.ChainPriorityMangle)
	for _, a := range t.Addresses {
		c.AddRule(&nftables.Rule{Table: table, Chain: preraw, Exprs: dropStrangers(t.Link, a)})
	}
	c.AddRule(&nftables.Rule{Table: table, Chain: postmangle, Exprs: saveMark(t.Mark)})
	c.AddRule(&nftables.Rule{Table: table, Chain: premangle, Exprs: restoreMark()})
	return nil
}

// replace makes a new table in place of one that may be there.
func replace(c *nftables.Conn, s spec) *nftables.Table {
	table := message(s)
	c.AddTable(table) // so that deleting does not fail
	c.DelTable(table)
	return c.AddTable(table)
}

func chain(c *nftables.Conn, t *nftables.Table, name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	return c.AddChain(&nftables.Chain{Name: name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: priority})
}

// dropStrangers is `iifname != LINK ip daddr ADDRESS fib saddr type != local drop`.
func dropStrangers(link string, a netip.Addr) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ) // it is compared whole
	copy(name, link)
	// Where the destination is in an IPv4 and in an IPv6 header, in bytes.
	offset := uint32(16)
	if a.Is6() {
		offset = 24
	}
	dst := a.AsSlice()
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: name},
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(dst)), DestRegister: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: dst},
		&expr.Fib{Register: reg, FlagSADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

// saveMark is `meta l4proto udp meta mark MARK ct mark set meta mark`.
func saveMark(mark uint32) []expr.Any {
	return append(isUDP(),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg},
		&expr.Ct{Key: expr.CtKeyMARK, Register: reg, SourceRegister: true},
	)
}

// restoreMark is `meta l4proto udp meta mark set ct mark`.
func restoreMark() []expr.Any {
	return append(isUDP(),
		&expr.Ct{Key: expr.CtKeyMARK, Register: reg},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg, SourceRegister: true},
	)
}

func isUDP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{unix.IPPROTO_UDP}},
	}
}
