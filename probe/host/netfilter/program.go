//go:build linux

package netfilter

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Program is the ruleset as the kernel runs it: with the rules of all chains, those that
// others jump to included. Legacy tables are not looked for. It is plain data.
type Program struct {
	*Ruleset
	// Rules are those of each chain, in order. Our own are not among them.
	Rules map[ChainName][]Statement
}

// ChainName names a chain, a base chain or another.
type ChainName struct{ Family, Table, Name string }

// Statement is a rule as the kernel has it.
type Statement struct {
	Handle      uint64
	Expressions []Expression
}

// Expression is one step of a rule, undecoded: the name of the kernel's expression, and its
// attributes (enum nft_*_attributes in linux/netfilter/nf_tables.h).
type Expression struct {
	Name string
	Data []byte
}

// ReadProgram reads the ruleset with all rules, in the network namespace of the calling
// thread.
func ReadProgram() (*Program, error) {
	c, err := dial()
	if err != nil {
		return nil, fmt.Errorf("open nfnetlink: %w", err)
	}
	defer c.Close()
	for range 10 {
		r, err := snapshot(c)
		if err != nil {
			return nil, fmt.Errorf("read ruleset: %w", err)
		}
		p := &Program{Ruleset: r, Rules: make(map[ChainName][]Statement)}
		err = p.listRules(c)
		now, genErr := generation(c)
		switch {
		case genErr != nil:
			return nil, fmt.Errorf("read rules: %w", genErr)
		case now == r.Generation && err != nil:
			return nil, fmt.Errorf("read rules: %w", err)
		case now == r.Generation:
			return p, nil
		}
	}
	return nil, errors.New("read rules: they change all the time")
}

// Generation reads the number of the ruleset, which changes with it.
func Generation() (uint32, error) {
	c, err := dial()
	if err != nil {
		return 0, fmt.Errorf("open nfnetlink: %w", err)
	}
	defer c.Close()
	gen, err := generation(c)
	if err != nil {
		return 0, fmt.Errorf("read the number of the ruleset: %w", err)
	}
	return gen, nil
}

func (p *Program) listRules(c *netlink.Conn) error {
	return dump(c, unix.NFPROTO_UNSPEC, unix.NFT_MSG_GETRULE, nil, func(family uint8, ad *netlink.AttributeDecoder) error {
		var s Statement
		name := ChainName{Family: familyName(family)}
		for ad.Next() {
			switch ad.Type() {
			case unix.NFTA_RULE_TABLE:
				name.Table = ad.String()
			case unix.NFTA_RULE_CHAIN:
				name.Name = ad.String()
			case unix.NFTA_RULE_HANDLE:
				s.Handle = ad.Uint64()
			case unix.NFTA_RULE_EXPRESSIONS:
				ad.Nested(s.decode)
			}
		}
		if !owned(name.Table) {
			p.Rules[name] = append(p.Rules[name], s)
		}
		return nil
	})
}

func (s *Statement) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		var e Expression
		ad.Nested(func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				switch ad.Type() {
				case unix.NFTA_EXPR_NAME:
					e.Name = ad.String()
				case unix.NFTA_EXPR_DATA:
					e.Data = ad.Bytes()
				}
			}
			return nil
		})
		s.Expressions = append(s.Expressions, e)
	}
	return nil
}
