//go:build linux

package netfilter

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tablePrefix begins the names of all our tables. The rest is the process's
// PID namespace, its id, when it started, and a number, so that the next run
// can tell whether the owner still lives.
const tablePrefix = "wgnode-trace-"

var tableNumber atomic.Uint32

func tableName() (string, error) {
	id, err := self()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%s-%d", tablePrefix, id, tableNumber.Add(1)), nil
}

// The chains of our table. Fronts mark packets, gates show that they got there.
// Each chain costs every packet of the host about a tenth of a microsecond, so
// there are no others: what passes forward comes to postrouting, and what is
// dropped in a chain says so itself.
const (
	frontName = "front-"
	gateName  = "gate-"
)

// NFT_TABLE_F_OWNER of linux/netfilter/nf_tables.h, NF_ACCEPT of
// linux/netfilter.h.
const (
	nftOwner = 0x2
	nfAccept = 1
)

// install adds the table with a rule for each match, and returns which rule
// (by its handle) is for which match (by its place in matches).
func install(c *netlink.Conn, name string, matches []Match, flags uint32) (map[uint64]int, error) {
	b := batch{family: unix.NFPROTO_INET}
	b.table(name, flags)
	for _, h := range []Hook{Input, Postrouting} {
		b.chain(name, gateName+h.String(), h, math.MaxInt32)
	}
	// The numbers of the matches, in the order of their rules in the chain.
	order := map[string][]int{}
	for _, h := range []Hook{Prerouting, Output} {
		front := frontName + h.String()
		b.chain(name, front, h, math.MinInt32)
		for i, m := range matches {
			if h == Prerouting && m.Out != "" || h == Output && m.In != "" {
				continue
			}
			b.rule(name, front, m.exprs())
			order[front] = append(order[front], i)
		}
	}
	return b.commit(c, name, order)
}

// installDevices adds a table of the family netdev, with a front at the ingress or
// egress of each of the devices, and returns which rule is for which match.
func installDevices(c *netlink.Conn, name string, matches []Match, ingress, egress []string, flags uint32) (map[uint64]int, error) {
	b := batch{family: unix.NFPROTO_NETDEV}
	b.table(name, flags)
	order := map[string][]int{}
	for i, device := range slices.Concat(ingress, egress) {
		hook := Ingress
		if i >= len(ingress) {
			hook = Egress
		}
		front := frontName + hook.String() + "-" + device
		b.base(name, front, uint32(hook-Ingress), math.MinInt32, device)
		for i, m := range matches {
			if hook == Ingress && (m.Out != "" || m.In != "" && m.In != device) || hook == Egress && m.Out != "" && m.Out != device {
				continue
			}
			m.In, m.Out = "", "" // by now one is forgotten, and the other is the device
			b.rule(name, front, m.exprs())
			order[front] = append(order[front], i)
		}
	}
	return b.commit(c, name, order)
}

// installBridge adds a table of the family bridge, with a front where frames come in by
// a port of a bridge, and where this host sends into one, and returns which rule is for
// which match.
func installBridge(c *netlink.Conn, name string, matches []Match, flags uint32) (map[uint64]int, error) {
	b := batch{family: unix.NFPROTO_BRIDGE}
	b.table(name, flags)
	order := map[string][]int{}
	for _, h := range []Hook{Prerouting, Output} {
		front := frontName + h.String()
		b.chain(name, front, h, math.MinInt32)
		for i, m := range matches {
			if m.Out != "" || h == Prerouting && m.In != "" { // of a bridge only the port is known here
				continue
			}
			m.In = "" // by now it is forgotten
			b.rule(name, front, m.exprs())
			order[front] = append(order[front], i)
		}
	}
	return b.commit(c, name, order)
}

// commit adds what is in the batch to the kernel, and returns the handles of its
// rules. order has the numbers of their matches, by chain.
func (b *batch) commit(c *netlink.Conn, name string, order map[string][]int) (map[uint64]int, error) {
	if b.err != nil {
		return nil, b.err
	}
	if err := transact(c, b.messages); err != nil {
		return nil, err
	}
	handles := map[uint64]int{}
	err := dumpRules(c, Table{Family: familyName(b.family), Name: name}, "", func(r kernelRule) error {
		if len(order[r.chain]) == 0 {
			return fmt.Errorf("unexpected rule %d in chain %s", r.handle, r.chain)
		}
		handles[r.handle] = order[r.chain][0]
		order[r.chain] = order[r.chain][1:]
		return nil
	})
	return handles, err
}

// remove deletes a table of ours.
func remove(c *netlink.Conn, family uint8, name string) error {
	b := batch{family: family}
	b.add(unix.NFT_MSG_DELTABLE, 0, func(ae *netlink.AttributeEncoder) { ae.String(unix.NFTA_TABLE_NAME, name) })
	if b.err != nil {
		return b.err
	}
	return transact(c, b.messages)
}

// batch is a transaction in the making, all in one family.
type batch struct {
	family   uint8
	messages []netlink.Message
	err      error
}

func (b *batch) add(kind int, flags netlink.HeaderFlags, fill func(*netlink.AttributeEncoder)) {
	m, err := request(kind, b.family, flags, fill)
	b.messages, b.err = append(b.messages, m), errors.Join(b.err, err)
}

func (b *batch) table(name string, flags uint32) {
	b.add(unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Excl, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_TABLE_NAME, name)
		ae.Uint32(unix.NFTA_TABLE_FLAGS, flags)
	})
}

func (b *batch) chain(table, name string, h Hook, priority int32) {
	b.base(table, name, uint32(h-Prerouting), priority, "")
}

// base adds a base chain, of a device if that is given.
func (b *batch) base(table, name string, hook uint32, priority int32, device string) {
	b.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_CHAIN_TABLE, table)
		ae.String(unix.NFTA_CHAIN_NAME, name)
		ae.Nested(unix.NFTA_CHAIN_HOOK, func(ae *netlink.AttributeEncoder) error {
			ae.Uint32(unix.NFTA_HOOK_HOOKNUM, hook)
			ae.Int32(unix.NFTA_HOOK_PRIORITY, priority)
			if device != "" {
				ae.String(unix.NFTA_HOOK_DEV, device)
			}
			return nil
		})
		ae.Uint32(unix.NFTA_CHAIN_POLICY, nfAccept)
		ae.String(unix.NFTA_CHAIN_TYPE, "filter")
	})
}

func (b *batch) rule(table, chain string, exprs []expr.Any) {
	b.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, func(ae *netlink.AttributeEncoder) {
		ae.String(unix.NFTA_RULE_TABLE, table)
		ae.String(unix.NFTA_RULE_CHAIN, chain)
		ae.Nested(unix.NFTA_RULE_EXPRESSIONS, func(ae *netlink.AttributeEncoder) error {
			for _, e := range exprs {
				data, err := expr.Marshal(b.family, e)
				if err != nil {
					return err
				}
				ae.Bytes(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, data)
			}
			return nil
		})
	})
}

// owned reports whether name is that of a table of wgnode's, this process's or
// another's.
func owned(name string) bool { return strings.HasPrefix(name, tablePrefix) }
