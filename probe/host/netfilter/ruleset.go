//go:build linux

package netfilter

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Ruleset is what packets can meet on this host: the base chains, without our
// own, and what escapes a trace. It is plain data.
type Ruleset struct {
	// Generation changes with each change of the ruleset.
	Generation uint32
	// Chains are ordered by hook and, within one, by priority: the order in
	// which packets of their family meet them. The order of those of one
	// priority is not known.
	Chains []Chain
	// Flowtables take established flows past all hooks but ingress.
	Flowtables []Flowtable
	// Legacy are the tables of legacy iptables, as "ip filter" or "ip6 nat",
	// which nf_tables knows nothing of. A rule there that drops a packet is not
	// traced. The commands iptables-legacy and ip6tables-legacy list them.
	Legacy []string

	tables []tableInfo
}

// Flowtable is a fast path for flows that a rule offloads to it.
type Flowtable struct {
	Table   Table
	Name    string
	Devices []string
}

// At returns the base chains of a hook that packets of a family meet, given as
// IPv4 or not, in order.
func (r *Ruleset) At(h Hook, is4 bool) []Chain {
	family := "ip6"
	if is4 {
		family = "ip"
	}
	var cs []Chain
	for _, c := range r.Chains {
		if c.Hook == h && (c.Table.Family == family || c.Table.Family == "inet") {
			cs = append(cs, c)
		}
	}
	return cs
}

// Unseen says, one sentence each, what of this ruleset a trace does not show.
func (r *Ruleset) Unseen() []string {
	var missed []string
	if len(r.Legacy) > 0 {
		missed = append(missed, fmt.Sprintf("rules of legacy iptables (%s) are not traced; iptables-legacy-save lists them",
			strings.Join(r.Legacy, ", ")))
	}
	if i := slices.IndexFunc(r.Chains, func(c Chain) bool {
		return c.Hook == Egress || c.Table.Family == "bridge" && (c.Hook == Output || c.Hook == Postrouting)
	}); i >= 0 {
		missed = append(missed, fmt.Sprintf("packets that are translated before they come to chain %s are not traced there",
			r.Chains[i].Describe()))
	}
	for _, f := range r.Flowtables {
		missed = append(missed, fmt.Sprintf("flows that flowtable %s of %v has taken over are not traced", f.Name, f.Table))
	}
	return missed
}

// bridges reports whether somebody has chains for bridges.
func (r *Ruleset) bridges() bool {
	return slices.ContainsFunc(r.Chains, func(c Chain) bool { return c.Table.Family == "bridge" })
}

// devices are those that have chains at a hook of theirs, in no order.
func (r *Ruleset) devices(h Hook) []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, c := range r.Chains {
		if c.Hook != h {
			continue
		}
		for _, name := range c.Devices {
			start, wild := strings.CutSuffix(name, "*")
			if !wild {
				add(name)
				continue
			}
			links, _ := net.Interfaces() // without them there is none to watch
			for _, l := range links {
				if strings.HasPrefix(l.Name, start) {
					add(l.Name)
				}
			}
		}
	}
	return names
}

// Snapshot reads the ruleset.
func Snapshot() (*Ruleset, error) {
	c, err := dial()
	if err != nil {
		return nil, fmt.Errorf("open nfnetlink: %w", err)
	}
	defer c.Close()
	r, err := snapshot(c)
	if err != nil {
		return nil, fmt.Errorf("read ruleset: %w", err)
	}
	if r.Legacy, err = legacyTables(); err != nil {
		return nil, fmt.Errorf("look for legacy iptables: %w", err)
	}
	return r, nil
}

// snapshot reads all of the ruleset that is in nf_tables, in one generation.
func snapshot(c *netlink.Conn) (*Ruleset, error) {
	for range 10 {
		before, err := generation(c)
		if err != nil {
			return nil, err
		}
		r := &Ruleset{Generation: before}
		if r.tables, err = listTables(c); err == nil {
			err = errors.Join(r.listChains(c), r.listFlowtables(c))
		}
		after, genErr := generation(c)
		if genErr != nil {
			return nil, genErr
		}
		if before != after {
			continue // and err, if any, may be due to that
		}
		return r, err
	}
	return nil, errors.New("it changes all the time")
}

// tableInfo is a table with what is no business of others.
type tableInfo struct {
	Table
	flags uint32
}

func listTables(c *netlink.Conn) ([]tableInfo, error) {
	var ts []tableInfo
	err := dump(c, unix.NFPROTO_UNSPEC, unix.NFT_MSG_GETTABLE, nil, func(family uint8, ad *netlink.AttributeDecoder) error {
		t := tableInfo{Table: Table{Family: familyName(family)}}
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_TABLE_NAME:
				t.Name = ad.String()
			case unix.NFTA_TABLE_FLAGS:
				t.flags = ad.Uint32()
			case nftaTableHandle:
				t.Handle = ad.Uint64()
			}
		}
		ts = append(ts, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return ts, nil
}

// nftaTableHandle is NFTA_TABLE_HANDLE (linux/netfilter/nf_tables.h).
const nftaTableHandle = 4

// table returns the table of that name, with its handle where there is one.
func (r *Ruleset) table(family, name string) Table {
	for _, t := range r.tables {
		if t.Family == family && t.Name == name {
			return t.Table
		}
	}
	return Table{Family: family, Name: name}
}

// chain returns the base chain of that name, with what is known of it.
func (r *Ruleset) chain(family uint8, table, name string) Chain {
	f := familyName(family)
	for _, c := range r.Chains {
		if c.Name == name && c.Table.Name == table && c.Table.Family == f {
			return c
		}
	}
	return Chain{Table: r.table(f, table), Name: name}
}

func (r *Ruleset) listChains(c *netlink.Conn) error {
	err := dump(c, unix.NFPROTO_UNSPEC, unix.NFT_MSG_GETCHAIN, nil, func(family uint8, ad *netlink.AttributeDecoder) error {
		var ch Chain
		base, table := false, ""
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_CHAIN_TABLE:
				table = ad.String()
			case unix.NFTA_CHAIN_NAME:
				ch.Name = ad.String()
			case unix.NFTA_CHAIN_TYPE:
				ch.Type = ad.String()
			case unix.NFTA_CHAIN_POLICY:
				ch.Drops = ad.Uint32() == 0
			case unix.NFTA_CHAIN_HOOK:
				base = true
				ad.Nested(func(ad *netlink.AttributeDecoder) error { return ch.decodeHook(family, ad) })
			}
		}
		if base && !owned(table) {
			ch.Table = r.table(familyName(family), table)
			r.Chains = append(r.Chains, ch)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	slices.SortStableFunc(r.Chains, func(a, b Chain) int {
		return cmp.Or(cmp.Compare(a.Hook, b.Hook), cmp.Compare(a.Priority, b.Priority))
	})
	return nil
}

func (c *Chain) decodeHook(family uint8, ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_HOOK_HOOKNUM:
			c.Hook = hookOf(family, ad.Uint32())
		case unix.NFTA_HOOK_PRIORITY:
			c.Priority = ad.Int32()
		case nftaHookDevs:
			ad.Nested(c.decodeDevices)
		case unix.NFTA_HOOK_DEV:
			if len(c.Devices) == 0 { // kernels that have several list it there, too
				c.Devices = []string{ad.String()}
			}
		}
	}
	return nil
}

// NFTA_HOOK_DEVS of enum nft_hook_attributes, and enum nft_devices_attributes
// (linux/netfilter/nf_tables.h).
const (
	nftaHookDevs     = 4
	nftaDeviceName   = 1
	nftaDevicePrefix = 2
)

func (c *Chain) decodeDevices(ad *netlink.AttributeDecoder) error {
	c.Devices = nil
	for ad.Next() {
		switch ad.Type() {
		case nftaDeviceName:
			c.Devices = append(c.Devices, ad.String())
		case nftaDevicePrefix:
			c.Devices = append(c.Devices, ad.String()+"*")
		}
	}
	return nil
}

func (r *Ruleset) listFlowtables(c *netlink.Conn) error {
	// enum nft_flowtable_attributes, nft_flowtable_hook_attributes and
	// those of devices (linux/netfilter/nf_tables.h).
	const ftTable, ftName, ftHook, hookDevs = 1, 2, 3, 3
	err := dump(c, unix.NFPROTO_UNSPEC, unix.NFT_MSG_GETFLOWTABLE, nil, func(family uint8, ad *netlink.AttributeDecoder) error {
		var f Flowtable
		for ad.Next() {
			switch ad.Type() {
			case ftTable:
				f.Table = r.table(familyName(family), ad.String())
			case ftName:
				f.Name = ad.String()
			case ftHook:
				ad.Nested(func(ad *netlink.AttributeDecoder) error {
					for ad.Next() {
						if ad.Type() == hookDevs {
							ad.Nested(func(ad *netlink.AttributeDecoder) error {
								for ad.Next() {
									if ad.Type() == nftaDeviceName {
										f.Devices = append(f.Devices, ad.String())
									}
								}
								return nil
							})
						}
					}
					return nil
				})
			}
		}
		r.Flowtables = append(r.Flowtables, f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("list flowtables: %w", err)
	}
	return nil
}

// legacyTables returns the tables of legacy iptables. A table is there as soon
// as its list of rules was looked at once, perhaps without any rule.
func legacyTables() ([]string, error) {
	// The network namespace of this thread, not of the process.
	const dir = "/proc/thread-self/net/"
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	var tables []string
	for _, f := range []struct{ family, file string }{{"ip", "ip_tables_names"}, {"ip6", "ip6_tables_names"}} {
		b, err := os.ReadFile(dir + f.file)
		if errors.Is(err, os.ErrNotExist) {
			continue // this kernel has none, or not loaded
		}
		if err != nil {
			return nil, err
		}
		for name := range strings.FieldsSeq(string(b)) {
			tables = append(tables, f.family+" "+name)
		}
	}
	return tables, nil
}
