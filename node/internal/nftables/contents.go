//go:build linux

package nftables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// contents is what the kernel holds of a table. The expressions of rules are kept
// as the bytes that the kernel lists, because no library reads all of them back
// without loss. Handles are left out: the same rule gets another one each time.
type contents struct {
	dormant bool
	chains  map[string]chainContents
	sets    []string // those that have a name; the others are part of their rules
}

type chainContents struct {
	kind   string // filter, nat, route; "" if no hook leads to it
	hook   string // bytes: where, and the priority
	policy uint32 // NF_ACCEPT or NF_DROP
	rules  []ruleContents
}

// is reports whether the chain is of a kind, and at a hook with a priority.
func (c chainContents) is(kind nftables.ChainType, hook nftables.ChainHook, priority nftables.ChainPriority) bool {
	at, err := attributes([]byte(c.hook))
	return err == nil && c.kind == string(kind) && number(at[unix.NFTA_HOOK_HOOKNUM]) == uint32(hook) &&
		int32(number(at[unix.NFTA_HOOK_PRIORITY])) == int32(priority)
}

type ruleContents struct {
	expressions string // bytes; where one names a set without a name, that set
	comment     string
}

func (r ruleContents) String() string {
	if r.comment == "" {
		return "without a comment"
	}
	return fmt.Sprintf("%q", r.comment)
}

// lookAttempts is how often a look begins again because somebody has changed
// something meanwhile.
const lookAttempts = 5

// look returns what the kernel holds of a table, nil if there is none, and the
// generation of the rule set that it was in. Where somebody changes other tables
// all the time, that is the generation before.
func look(of spec) (have *contents, generation uint32, err error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err == nil {
		l := looker{c, of}
		for range lookAttempts {
			var settled bool
			if have, generation, settled, err = l.look(); err == nil && settled || err != nil && !errors.Is(err, errChanged) {
				break
			}
		}
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return nil, 0, fmt.Errorf("list nft table %s: %w", label(of), err)
	}
	return have, generation, nil
}

var errChanged = errors.New("other programs keep changing the rules")

type looker struct {
	*netlink.Conn
	of spec
}

// look also reports whether all was of one generation.
func (l *looker) look() (have *contents, generation uint32, settled bool, err error) {
	before, err := l.generation()
	if err != nil {
		return nil, 0, false, err
	}
	if have, err = l.table(); err != nil {
		return nil, 0, false, err
	}
	after, err := l.generation()
	return have, before, after == before, err
}

// generation is a number that grows with each transaction.
func (l *looker) generation() (uint32, error) {
	answer, err := l.get(unix.NFT_MSG_GETGEN, 0, 0, nil)
	if err != nil || len(answer) == 0 {
		return 0, err
	}
	return number(answer[0][unix.NFTA_GEN_ID]), nil
}

func (l *looker) table() (*contents, error) {
	named := []netlink.Attribute{{Type: 1, Data: []byte(l.of.Name() + "\x00")}} // 1 is NFTA_*_TABLE, and NFTA_TABLE_NAME
	tables, err := l.get(unix.NFT_MSG_GETTABLE, 0, l.of.number(), named)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	have, err := l.inside(tables[0], named)
	if errors.Is(err, unix.ENOENT) {
		err = errChanged // it has just gone
	}
	return have, err
}

// inside returns what is in a table.
func (l *looker) inside(table map[uint16][]byte, named []netlink.Attribute) (*contents, error) {
	const dormant = 1 // NFT_TABLE_F_DORMANT
	have := &contents{dormant: number(table[unix.NFTA_TABLE_FLAGS])&dormant != 0, chains: make(map[string]chainContents)}
	chains, err := l.get(unix.NFT_MSG_GETCHAIN, netlink.Dump, l.of.number(), nil)
	if err != nil {
		return nil, err
	}
	for _, c := range chains {
		if text(c[unix.NFTA_CHAIN_TABLE]) == l.of.Name() {
			have.chains[text(c[unix.NFTA_CHAIN_NAME])] = chainContents{kind: text(c[unix.NFTA_CHAIN_TYPE]),
				hook: string(c[unix.NFTA_CHAIN_HOOK]), policy: number(c[unix.NFTA_CHAIN_POLICY])}
		}
	}
	unnamed, err := l.sets(have, named)
	if err != nil {
		return nil, err
	}
	rules, err := l.get(unix.NFT_MSG_GETRULE, netlink.Dump, l.of.number(), named)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if text(r[unix.NFTA_RULE_TABLE]) != l.of.Name() {
			continue // of a kernel that does not heed which table was asked for
		}
		name := text(r[unix.NFTA_RULE_CHAIN])
		expressions, err := resolveSets(r[unix.NFTA_RULE_EXPRESSIONS], unnamed)
		if err != nil {
			return nil, err
		}
		comment, _ := userdata.GetString(r[unix.NFTA_RULE_USERDATA], userdata.TypeComment)
		chain := have.chains[name]
		chain.rules = append(chain.rules, ruleContents{expressions, comment})
		have.chains[name] = chain
	}
	return have, nil
}

// sets notes the sets that have a name, and returns what is in the others, by
// the names that the kernel has made up for them.
func (l *looker) sets(have *contents, named []netlink.Attribute) (map[string]string, error) {
	const anonymous = 1 // NFT_SET_ANONYMOUS
	sets, err := l.get(unix.NFT_MSG_GETSET, netlink.Dump, l.of.number(), named)
	if err != nil {
		return nil, err
	}
	unnamed := make(map[string]string)
	for _, s := range sets {
		name := text(s[unix.NFTA_SET_NAME])
		switch {
		case text(s[unix.NFTA_SET_TABLE]) != l.of.Name():
			continue
		case number(s[unix.NFTA_SET_FLAGS])&anonymous == 0:
			have.sets = append(have.sets, name)
			continue
		}
		lists, err := l.get(unix.NFT_MSG_GETSETELEM, netlink.Dump, l.of.number(), []netlink.Attribute{
			{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: []byte(l.of.Name() + "\x00")},
			{Type: unix.NFTA_SET_ELEM_LIST_SET, Data: []byte(name + "\x00")}})
		if err != nil {
			return nil, err
		}
		var elements []string
		for _, list := range lists {
			each, err := netlink.UnmarshalAttributes(list[unix.NFTA_SET_ELEM_LIST_ELEMENTS])
			if err != nil {
				return nil, err
			}
			for _, e := range each {
				elements = append(elements, string(e.Data))
			}
		}
		slices.Sort(elements)
		unnamed[name] = string(s[unix.NFTA_SET_KEY_TYPE]) + strings.Join(elements, "|")
	}
	slices.Sort(have.sets)
	return unnamed, nil
}

// resolveSets puts what is in a set without a name in place of the name that the
// kernel has made up, which is another one each time.
func resolveSets(expressions []byte, unnamed map[string]string) (string, error) {
	if len(unnamed) == 0 {
		return string(expressions), nil
	}
	list, err := netlink.UnmarshalAttributes(expressions)
	if err != nil {
		return "", err
	}
	var all []byte
	for _, e := range list {
		all = append(all, e.Data...)
		parts, err := attributes(e.Data)
		if err != nil {
			return "", err
		}
		if text(parts[unix.NFTA_EXPR_NAME]) != "lookup" {
			continue
		}
		lookup, err := attributes(parts[unix.NFTA_EXPR_DATA])
		if err != nil {
			return "", err
		}
		name := lookup[unix.NFTA_LOOKUP_SET]
		if in, ok := unnamed[text(name)]; ok {
			all = append(bytes.Replace(all, name, nil, 1), in...)
		}
	}
	return string(all), nil
}

// get asks the kernel, and returns the attributes of each message of the answer.
func (l *looker) get(kind int, flags netlink.HeaderFlags, family byte, ask []netlink.Attribute) ([]map[uint16][]byte, error) {
	body, err := netlink.MarshalAttributes(ask)
	if err != nil {
		return nil, err
	}
	answer, err := l.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, body...),
	})
	if err != nil {
		return nil, err
	}
	var all []map[uint16][]byte
	for _, m := range answer {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return nil, errChanged
		}
		if len(m.Data) < sizeofGenericHeader {
			continue
		}
		a, err := attributes(m.Data[sizeofGenericHeader:])
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// sizeofGenericHeader is the length of nfnetlink's own header, a nfgenmsg.
const sizeofGenericHeader = 4

func attributes(b []byte) (map[uint16][]byte, error) {
	list, err := netlink.UnmarshalAttributes(b)
	if err != nil {
		return nil, err
	}
	m := make(map[uint16][]byte, len(list))
	for _, a := range list {
		m[a.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = a.Data
	}
	return m, nil
}

func text(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }

func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}
