//go:build linux

package plan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/rule"
	"github.com/wgnode/wgnode/node/link"
)

// failing is the kernel of this host, whose n-th change fails.
type failing struct {
	System
	left int
}

var errNoMore = errors.New("no more changes")

func (f *failing) next(do func() error) error {
	if f.left--; f.left == 0 {
		return errNoMore
	}
	return do()
}

func (f *failing) SetUp(l link.Link, mtu int) error {
	return f.next(func() error { return f.System.SetUp(l, mtu) })
}
func (f *failing) AddAddress(l link.Link, p netip.Prefix) error {
	return f.next(func() error { return f.System.AddAddress(l, p) })
}
func (f *failing) DeleteAddress(l link.Link, p netip.Prefix) error {
	return f.next(func() error { return f.System.DeleteAddress(l, p) })
}
func (f *failing) AddRoute(l link.Link, p netip.Prefix, table int) error {
	return f.next(func() error { return f.System.AddRoute(l, p, table) })
}
func (f *failing) DeleteRoute(l link.Link, p netip.Prefix, table int) error {
	return f.next(func() error { return f.System.DeleteRoute(l, p, table) })
}
func (f *failing) AddRule(r rule.Rule) error {
	return f.next(func() error { return f.System.AddRule(r) })
}
func (f *failing) DeleteRule(r rule.Rule) error {
	return f.next(func() error { return f.System.DeleteRule(r) })
}
func (f *failing) AddFirewall(l link.Link, t nftables.Table) error {
	return f.next(func() error { return f.System.AddFirewall(l, t) })
}

// everything is all of the namespace that plans change.
func everything(t *testing.T) string {
	state := run(t, "ip -o address") + run(t, "ip -o link show dev wg0") + run(t, "ip -d route show table all") +
		run(t, "ip -d -6 route show table all") + run(t, "ip rule") + run(t, "ip -6 rule") + run(t, "nft list ruleset") +
		run(t, "sysctl net.ipv4.conf.all.src_valid_mark")
	state = regexp.MustCompile(`(?m)^\d+: | tentative|^local [0-9a-f:]+ table.*\n|^anycast .*\n|^multicast ff00.*\n| pref medium`).
		ReplaceAllString(state, "")
	// The order of addresses depends on when they came.
	lines := strings.Split(state, "\n")
	return strings.Join(sorted(lines), "\n")
}

func sorted(lines []string) []string {
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return lines
}

// changeCases are configurations that a tunnel may go through, in any order.
var changeCases = []struct {
	iface, peer string
	mark        bool // the configuration has one
}{
	{"Address = 10.0.0.1/24", "AllowedIPs = 10.0.0.0/24, 10.1.0.0/16", false},
	{"Address = 10.0.0.2/24, fd00::1/64\nMTU = 1300", "AllowedIPs = 10.2.0.0/16, fd00::/64", false},
	{"Address = 10.0.0.2/32, fd00::1/128", "AllowedIPs = 10.0.0.0/24, fd00::/64", false},
	{"Address = 10.0.0.2/32", "AllowedIPs = 0.0.0.0/0", false},
	{"Address = 10.0.0.3/32, fd00::1/64", "AllowedIPs = 0.0.0.0/0, ::/0, 10.2.0.0/16", false},
	{"Address = 10.0.0.3/32\nFwMark = 77", "AllowedIPs = 0.0.0.0/0, ::/0", true},
	{"Address = 10.0.0.3/32\nTable = 99", "AllowedIPs = 0.0.0.0/0, 10.2.0.0/16", false},
	{"Table = off", "AllowedIPs = 0.0.0.0/0", false},
}

// changeStage is a namespace in which a configuration is up.
type changeStage struct {
	t *testing.T
	j *Journal
}

func (s *changeStage) steps(i int, but []Step) []Step {
	s.t.Helper()
	c := changeCases[i]
	cfg := conf(s.t, c.iface, c.peer)
	host, err := Gather(&config.Config{Name: "wg0", Interface: cfg.Interface, Peers: cfg.Peers}, nil, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if but != nil {
		host.Except(but)
	}
	steps, err := Build(cfg, host)
	if err != nil {
		s.t.Fatal(err)
	}
	return steps
}

func (s *changeStage) up(i int) {
	s.t.Helper()
	var err error
	if s.j, err = CreateJournal(filepath.Join(s.t.TempDir(), "wg0.json"), "wg0", ""); err != nil {
		s.t.Fatal(err)
	}
	r := Runner{Kernel: System{}, Device: tun{s.t}}
	if err := r.Apply(s.t.Context(), s.steps(i, nil), s.j); err != nil {
		s.t.Fatal(err)
	}
}

func (s *changeStage) down() {
	s.t.Helper()
	r := Runner{Kernel: System{}}
	if err := r.Undo(context.Background(), s.j); err != nil {
		s.t.Fatal(err)
	}
}

// Whichever configuration it was, a change leads to the same host as coming up
// with the other would have, and going down from there leaves nothing.
func TestChange(t *testing.T) {
	ownNamespace(t)
	s := &changeStage{t: t}
	empty := run(t, "ip route show table all") + run(t, "ip rule") + run(t, "nft list ruleset")
	var want []string
	for i := range changeCases {
		s.up(i)
		want = append(want, everything(t))
		s.down()
	}
	for from := range changeCases {
		for _, step := range []int{0, 1, 3, 5} {
			to := (from + step) % len(changeCases)
			if changeCases[from].mark && to != from {
				continue // a mark that is there already is free to be chosen
			}
			s.up(from)
			var out strings.Builder
			r := Runner{Kernel: System{}, Device: tun{t}, Out: &out}
			if err := r.Change(t.Context(), s.steps(to, s.j.Steps), s.j); err != nil {
				t.Fatalf("from %d to %d: %v\n%s", from, to, err, &out)
			}
			if got := everything(t); got != want[to] {
				t.Errorf("from %d to %d:\n%s\nmakes\n%s\nwant\n%s", from, to, &out, got, want[to])
			}
			if from == to && out.Len() > 0 {
				t.Errorf("no difference, and it does\n%s", &out)
			}
			s.down()
			if left := run(t, "ip route show table all") + run(t, "ip rule") + run(t, "nft list ruleset"); left != empty {
				t.Fatalf("from %d to %d leaves\n%s", from, to, left)
			}
		}
	}
}

// A change that fails, wherever it does, leaves the host as it was.
func TestChangeFails(t *testing.T) {
	ownNamespace(t)
	s := &changeStage{t: t}
	failed := 0
	for from := range changeCases {
		to := (from + 3) % len(changeCases)
		for n := 1; n < 30; n++ {
			s.up(from)
			before, was := everything(t), fmt.Sprint(s.j.Steps)
			r := Runner{Kernel: &failing{left: n}, Device: tun{t}}
			err := r.Change(t.Context(), s.steps(to, s.j.Steps), s.j)
			if err == nil {
				s.down()
				break
			}
			failed++
			if !errors.Is(err, errNoMore) {
				t.Errorf("from %d to %d, change %d: %v", from, to, n, err)
			}
			if got := everything(t); got != before {
				t.Errorf("from %d to %d, failing at change %d:\n%s\nwas\n%s", from, to, n, got, before)
			}
			if got := fmt.Sprint(s.j.Steps); got != was {
				t.Errorf("the journal holds %s", got)
			}
			s.down()
		}
	}
	if failed < 20 {
		t.Errorf("only %d changes failed", failed)
	}
}
