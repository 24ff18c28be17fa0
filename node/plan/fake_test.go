package plan

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/resolver"
)

// fake is a kernel of one link, and its device. Before each change it calls
// before, if set, whose error the change fails with.
type fake struct {
	index  int      // of the link, 0: there is none
	next   int      // the index of the next link
	has    []string // what goes with the link
	stays  []string // what does not
	marked string   // a rule of somebody else's
	before func(change string) error
}

func (f *fake) change(format string, args ...any) error {
	if f.before == nil {
		return nil
	}
	return f.before(fmt.Sprintf(format, args...))
}

func (f *fake) add(what string) error {
	if err := f.change("add %s", what); err != nil {
		return err
	}
	f.has = append(f.has, what)
	return nil
}

func (f *fake) delete(what string, missing error) error {
	if err := f.change("delete %s", what); err != nil {
		return err
	}
	i := slices.Index(f.has, what)
	if i < 0 {
		return fmt.Errorf("delete %s: %w", what, missing)
	}
	f.has = slices.Delete(f.has, i, i+1)
	return nil
}

func (f *fake) Create(_ context.Context, name string) error {
	if err := f.add("link " + name); err != nil {
		return err
	}
	f.next++
	f.index = f.next
	return nil
}

func (f *fake) Configure(context.Context, uint32) error { return f.change("configure") }

func (f *fake) Link(name string) (link.Link, error) {
	if f.index == 0 {
		return link.Link{}, link.ErrNotFound
	}
	return link.Link{Name: name, Index: f.index}, nil
}

func (f *fake) DeleteLink(l link.Link) error {
	if err := f.delete("link "+l.Name, unix.ENODEV); err != nil {
		return err
	}
	f.index, f.has = 0, nil
	return nil
}

func (f *fake) SetUp(link.Link, int) error { return f.change("up") }
func (f *fake) AddAddress(_ link.Link, p netip.Prefix) error {
	return f.add("address " + p.String())
}
func (f *fake) DeleteAddress(_ link.Link, p netip.Prefix) error {
	return f.delete("address "+p.String(), unix.EADDRNOTAVAIL)
}
func (f *fake) AddRoute(_ link.Link, p netip.Prefix, _ int) error {
	return f.add("route " + p.String())
}
func (f *fake) ReplaceRoute(_ link.Link, p netip.Prefix, _ int) error {
	return f.change("replace route %s", p)
}
func (f *fake) ReplaceThrow(p netip.Prefix, _ int) error { return f.change("replace throw %s", p) }
func (f *fake) DeleteRoute(_ link.Link, p netip.Prefix, _ int) error {
	return f.delete("route "+p.String(), unix.ESRCH)
}

// put and take are add and delete of what does not go with the link.
func (f *fake) put(what string) error {
	if err := f.change("add %s", what); err != nil {
		return err
	}
	f.stays = append(f.stays, what)
	return nil
}

func (f *fake) take(what string) error {
	if err := f.change("delete %s", what); err != nil {
		return err
	}
	i := slices.Index(f.stays, what)
	if i < 0 {
		return fmt.Errorf("delete %s: %w", what, unix.ENOENT)
	}
	f.stays = slices.Delete(f.stays, i, i+1)
	return nil
}

func (f *fake) AddRule(r rule.Rule) error    { return f.put("rule " + r.String()) }
func (f *fake) DeleteRule(r rule.Rule) error { return f.take("rule " + r.String()) }
func (f *fake) AddFirewall(_ link.Link, t nftables.Table) error {
	return f.put("table " + t.Name())
}
func (f *fake) DeleteFirewall(t nftables.Table) error { return f.take("table " + t.Name()) }

// AddKillSwitch changes the table if it is there.
func (f *fake) AddKillSwitch(k nftables.KillSwitch) error {
	if slices.Contains(f.stays, "table "+k.Name()) {
		return f.change("change table %s", k.Name())
	}
	return f.put("table " + k.Name())
}
func (f *fake) DeleteKillSwitch(link string) error {
	return f.take("table " + nftables.KillSwitch{Link: link}.Name())
}
func (f *fake) AddGateway(g nftables.Gateway) error { return f.put("table " + g.Name()) }
func (f *fake) DeleteGateway(link string) error {
	return f.take("table " + nftables.Gateway{Link: link}.Name())
}
func (f *fake) AddThrow(p netip.Prefix, table int) error {
	return f.put(fmt.Sprintf("throw %s %d", p, table))
}
func (f *fake) DeleteThrow(p netip.Prefix, table int) error {
	return f.take(fmt.Sprintf("throw %s %d", p, table))
}

// Sysctl knows those that stay; the others are as they always were.
func (f *fake) Sysctl(name string) (string, error) {
	for _, s := range f.stays {
		if value, ok := strings.CutPrefix(s, name+"="); ok {
			return value, nil
		}
	}
	return original(name), nil
}

func original(name string) string {
	if strings.HasSuffix(name, "accept_ra") || strings.HasPrefix(name, "net/ipv4/conf/") {
		return "1"
	}
	return "0"
}

func (f *fake) SetSysctl(name, value string) error {
	now, err := f.Sysctl(name)
	if err != nil {
		return err
	}
	if now != original(name) {
		if err := f.take(name + "=" + now); err != nil {
			return err
		}
	}
	if value == original(name) {
		return nil
	}
	return f.put(name + "=" + value)
}

func (f *fake) MarkedRule() (string, error) { return f.marked, nil }

func (f *fake) SetDNS(_ context.Context, l link.Link, c resolver.Change) error {
	return f.put(fmt.Sprintf("name servers of %s %d", c.Link, l.Index))
}

func (f *fake) ResetDNS(l link.Link, c resolver.Change) error {
	return f.take(fmt.Sprintf("name servers of %s %d", c.Link, l.Index))
}
