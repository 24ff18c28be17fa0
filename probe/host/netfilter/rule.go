//go:build linux

package netfilter

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Errors of [Tracer.Rule].
var (
	// ErrRuleGone says that the rule was deleted, or its chain or table was.
	ErrRuleGone = errors.New("the rule is no longer there")
	// ErrTableReplaced says that the table is another than that which was there
	// when the packet passed, as when a firewall was reloaded, or may be, so
	// that its handles may mean other rules.
	ErrTableReplaced = errors.New("the table was added or replaced meanwhile")
)

// rules looks rules up, and keeps what programs say of a table for as long as
// the ruleset stays the same.
type rules struct {
	mu         sync.Mutex
	generation uint32
	listings   map[Table]*listing
}

// Finder looks rules up that no trace has shown. The zero Finder is ready. It may be used
// concurrently.
type Finder struct{ rules rules }

// Rule is [Tracer.Rule].
func (f *Finder) Rule(c Chain, s Step) (Rule, error) {
	conn, err := dial()
	if err != nil {
		return Rule{}, fmt.Errorf("open nfnetlink: %w", err)
	}
	defer conn.Close()
	return f.rules.find(conn, c.Table, s.Chain, s.Handle)
}

// find returns a rule. It works in the namespace of c, and of the calling
// thread for running programs.
func (rs *rules) find(c *netlink.Conn, table Table, chain string, handle uint64) (Rule, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	fail := func(err error) (Rule, error) {
		return Rule{}, fmt.Errorf("look up rule %v %s handle %d: %w", table, chain, handle, err)
	}
	for range 5 {
		gen, err := generation(c)
		if err != nil {
			return fail(err)
		}
		if gen != rs.generation || rs.listings == nil {
			rs.generation, rs.listings = gen, map[Table]*listing{}
		}
		tables, err := listTables(c)
		if err != nil {
			return fail(err)
		}
		at := slices.IndexFunc(tables, func(t tableInfo) bool { return t.Family == table.Family && t.Name == table.Name })
		if at < 0 {
			return fail(ErrRuleGone)
		}
		if tables[at].Handle != table.Handle {
			return fail(ErrTableReplaced)
		}
		var inChain []kernelRule
		err = dumpRules(c, table, chain, func(r kernelRule) error {
			inChain = append(inChain, r)
			return nil
		})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fail(err)
		}
		i := slices.IndexFunc(inChain, func(r kernelRule) bool { return r.handle == handle })
		found := Rule{Table: table, Chain: chain, Handle: handle, Position: i + 1}
		if i >= 0 {
			found.Reject = inChain[i].reject
			l := rs.listings[table]
			if l == nil {
				l = list(table)
				rs.listings[table] = l
			}
			l.describe(&found, len(inChain))
		}
		// All of that must be of one ruleset.
		if now, err := generation(c); err != nil {
			return fail(err)
		} else if now != gen {
			continue
		}
		if i < 0 {
			return fail(ErrRuleGone)
		}
		return found, nil
	}
	return fail(errors.New("the ruleset changes all the time"))
}

// kernelRule is a rule as a dump tells it.
type kernelRule struct {
	chain  string
	handle uint64
	reject bool
}

// dumpRules calls fn for the rules of a chain, or of all chains if chain is "",
// in their order.
func dumpRules(c *netlink.Conn, table Table, chain string, fn func(kernelRule) error) error {
	fill := func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, table.Name)
		if chain != "" {
			ae.String(unix.NFTA_RULE_CHAIN, chain)
		}
	}
	// With a table and a chain, but no family, the kernel looks into the first
	// table of that name only.
	return dump(c, familyNumber(table.Family), unix.NFT_MSG_GETRULE, fill, func(family uint8, ad *netlink.AttributeDecoder) error {
		var r kernelRule
		name := ""
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_RULE_TABLE:
				name = ad.String()
			case unix.NFTA_RULE_CHAIN:
				r.chain = ad.String()
			case unix.NFTA_RULE_HANDLE:
				r.handle = ad.Uint64()
			case unix.NFTA_RULE_EXPRESSIONS:
				ad.Nested(func(ad *netlink.AttributeDecoder) error {
					for ad.Next() {
						ad.Nested(r.decodeExpression)
					}
					return nil
				})
			}
		}
		// The kernel need not heed what was asked for.
		if familyName(family) != table.Family || name != table.Name || chain != "" && r.chain != chain {
			return nil
		}
		return fn(r)
	})
}

// decodeExpression notes an expression that rejects: nft's own, or the target
// of iptables.
func (r *kernelRule) decodeExpression(ad *netlink.AttributeDecoder) error {
	// NFTA_TARGET_NAME of linux/netfilter/nf_tables_compat.h.
	const targetName = 1
	name := ""
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_EXPR_NAME:
			name = ad.String()
			r.reject = r.reject || name == "reject"
		case unix.NFTA_EXPR_DATA:
			if name != "target" {
				continue
			}
			ad.Nested(func(ad *netlink.AttributeDecoder) error {
				for ad.Next() {
					if ad.Type() == targetName && ad.String() == "REJECT" {
						r.reject = true
					}
				}
				return nil
			})
		}
	}
	return nil
}
