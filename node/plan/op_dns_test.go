package plan

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/resolver"
)

// dnsStep is the step that a configuration's DNS becomes on a host.
func dnsStep(t *testing.T, dns string, c resolver.Choice) Step {
	t.Helper()
	steps, err := Build(conf(t, "DNS = "+dns, ""), State{Resolver: c})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Op == OpDNS {
			return s
		}
	}
	t.Fatalf("no name servers are set in %v", steps)
	return Step{}
}

func TestDNSLine(t *testing.T) {
	file := resolver.Choice{Kind: resolver.File, Why: "resolvconf is not installed", Before: &resolver.Snapshot{Content: []byte("x")}}
	for _, c := range []struct {
		dns    string
		choice resolver.Choice
		want   string
	}{
		{"10.0.0.1", resolver.Choice{Kind: resolver.Resolvconf, Why: "/sbin/resolvconf is installed"},
			"[#] resolvconf -a wg0 -m 0 -x  # the tunnel's name servers are asked for all names, and no others; set by " +
				"resolvconf: /sbin/resolvconf is installed"},
		{"10.0.0.1", file,
			`[#] printf 'nameserver 10.0.0.1\n' > /etc/resolv.conf  # the tunnel's name servers are asked for all names, ` +
				`and no others; set by replacing /etc/resolv.conf: resolvconf is not installed`},
		{"10.0.0.1", resolver.Choice{Kind: resolver.Off, Why: "the configuration says so"},
			"[!] skipped: resolvconf -a wg0 -m 0 -x: resolver is off: the configuration says so"},
	} {
		if got := dnsStep(t, c.dns, c.choice).Line(true); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	got := dnsStep(t, "10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4", file).Line(false)
	if !strings.HasSuffix(got, "\n[!] most programs ask only the first 3 of the 4 name servers in /etc/resolv.conf") {
		t.Errorf("got %s", got)
	}
}

// The journal holds all that undoing needs.
func TestDNSJournal(t *testing.T) {
	s := dnsStep(t, "10.0.0.1, fe80::1%wg0, corp.example", resolver.Choice{
		Kind: resolver.File, Before: &resolver.Snapshot{Content: []byte("\xff\n"), Mode: 0o640, UID: 7}})
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got Step
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if s.Why, s.Note = "", ""; !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, want %+v", got, s)
	}
}

func TestDNSRefused(t *testing.T) {
	c := conf(t, "DNS = 10.0.0.1, corp.example", "")
	c.Interface.Search[0] = "a\nnameserver 192.0.2.1"
	if steps, err := Build(c, State{}); err == nil {
		t.Errorf("accepted: %v", steps)
	}
}

// What is left of name servers depends on where they were set.
func TestDNSUndoneWithoutLink(t *testing.T) {
	for _, c := range []struct {
		kind        resolver.Kind
		gone, taken bool // whether it is undone then
	}{
		{resolver.Resolved, false, false},
		{resolver.Resolvconf, true, false},
		{resolver.File, true, true},
	} {
		s := Step{Op: OpDNS, Link: "wg0", DNS: &resolver.Change{Kind: c.kind, Before: &resolver.Snapshot{}}}
		if got := (whatIs{}).remains(s); got != c.gone {
			t.Errorf("%s, without the link: %v", c.kind, got)
		}
		if got := (whatIs{taken: true}).remains(s); got != c.taken {
			t.Errorf("%s, with another's link of the name: %v", c.kind, got)
		}
		if !(whatIs{ours: true}).remains(s) {
			t.Errorf("%s: not undone", c.kind)
		}
	}
}

// A change of the configuration touches the name servers only if it concerns
// them, and never sets new ones only to take them away with the old.
func TestDNSChange(t *testing.T) {
	file := resolver.Choice{Kind: resolver.File, Before: &resolver.Snapshot{Content: []byte("x")}}
	// What the node finds when it looks again is its own file.
	again := State{Resolver: resolver.Choice{Kind: resolver.File, Why: "y", Before: &resolver.Snapshot{Content: []byte("ours")}}}
	old := dnsStep(t, "10.0.0.1", file)
	again.Except([]Step{old})
	resolvconf := resolver.Choice{Kind: resolver.Resolvconf}
	for _, c := range []struct {
		name           string
		old, new       []Step
		added, removed int
	}{
		{name: "the same", old: []Step{old}, new: []Step{dnsStep(t, "10.0.0.1", again.Resolver)}},
		{name: "another server", old: []Step{old}, new: []Step{dnsStep(t, "10.0.0.2", again.Resolver)}, added: 1},
		{name: "another place", old: []Step{old}, new: []Step{dnsStep(t, "10.0.0.1", resolvconf)}, added: 1, removed: 1},
		{name: "none any more", old: []Step{old}, removed: 1},
		{name: "none before", new: []Step{dnsStep(t, "10.0.0.1", resolvconf)}, added: 1},
	} {
		d := change{old: c.old, steps: c.new}
		d.compare()
		if len(d.added) != c.added || len(d.removed) != c.removed || len(d.again) > 0 {
			t.Errorf("%s: added %v, removed %v, again %v", c.name, d.added, d.removed, d.again)
		}
	}
}
