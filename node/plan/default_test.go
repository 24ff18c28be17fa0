package plan

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// plainHost is a host with a default route, on which nothing is special.
var plainHost = State{Default: DefaultState{
	FreeTable: 51820,
	V4:        FamilyState{Priority: 32765, Default: "via 10.9.1.1 dev eth0", Networks: []string{"10.9.1.0/24 dev eth0"}},
	V6:        FamilyState{Priority: 32765},
}}

// markedHost is one with marks and a table of others'.
func markedHost() State {
	marked := plainHost
	marked.Default.SrcValidMark, marked.Default.SrcValidMarkFixed = true, "read-only"
	marked.Default.FreeTable = 51822
	marked.Default.V4.Priority = 32763
	return marked
}

const v4Routes = "AllowedIPs = 0.0.0.0/0, 10.1.0.0/16"

var buildTablesTests = []struct {
	name        string
	iface, peer string
	host        State
	mark        uint32
	want        string
}{
	{name: "off", iface: "Table = off", peer: v4Routes, host: plainHost, want: "up\n"},
	{name: "a number: no route is special", iface: "Table = 1000\nAddress = 10.1.0.1/16\nFwMark = 7", peer: v4Routes + ", ::/0",
		host: plainHost, mark: 7,
		want: `ip -4 address add 10.1.0.1/16 dev wg0
up
ip -4 route add 10.1.0.0/16 dev wg0 table 1000
ip -6 route add ::/0 dev wg0 table 1000
ip -4 route add 0.0.0.0/0 dev wg0 table 1000
`},
	{name: "default route", peer: v4Routes, host: plainHost, mark: 51820, want: `nft -f /dev/fd/63
up
ip -4 route add 10.1.0.0/16 dev wg0
sysctl -q net.ipv4.conf.all.src_valid_mark=1
ip -4 rule add pref 32765 not fwmark 51820 table 51820
ip -4 rule add pref 32764 table main suppress_prefixlength 0
ip -4 route add 0.0.0.0/0 dev wg0 table 51820
`},
	{name: "the sysctl is set, the table and priorities are taken", peer: "AllowedIPs = 0.0.0.0/0",
		host: markedHost(), mark: 51822, want: `nft -f /dev/fd/63
up
sysctl -q net.ipv4.conf.all.src_valid_mark=1
ip -4 rule add pref 32763 not fwmark 51822 table 51822
ip -4 rule add pref 32762 table main suppress_prefixlength 0
ip -4 route add 0.0.0.0/0 dev wg0 table 51822
`},
	{name: "both families, a mark", iface: "FwMark = 0x10", peer: "AllowedIPs = 0.0.0.0/0, ::/0",
		host: plainHost, mark: 16, want: `nft -f /dev/fd/63
nft -f /dev/fd/63
up
ip -6 rule add pref 32765 not fwmark 16 table 16
ip -6 rule add pref 32764 table main suppress_prefixlength 0
ip -6 route add ::/0 dev wg0 table 16
sysctl -q net.ipv4.conf.all.src_valid_mark=1
ip -4 rule add pref 32765 not fwmark 16 table 16
ip -4 rule add pref 32764 table main suppress_prefixlength 0
ip -4 route add 0.0.0.0/0 dev wg0 table 16
`},
	{name: "halves are no default route", peer: "AllowedIPs = 0.0.0.0/1, 128.0.0.0/1", host: plainHost,
		want: `up
ip -4 route add 128.0.0.0/1 dev wg0
ip -4 route add 0.0.0.0/1 dev wg0
`},
}

// The firewall's table is there before the device is configured, which may then send what is
// encrypted, and before the link is up.
func TestBuildTables(t *testing.T) {
	for _, tc := range buildTablesTests {
		t.Run(tc.name, func(t *testing.T) {
			steps, err := Build(conf(t, tc.iface, tc.peer), tc.host)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, s := range steps {
				switch s.Op {
				case OpConfigure:
					firewall := slices.ContainsFunc(steps, func(s Step) bool { return s.Op == OpFirewall })
					if firewall && !strings.Contains(got.String(), "nft -f") {
						t.Error("the device is configured before the firewall's table is there")
					}
					if s.Mark != tc.mark {
						t.Errorf("the mark is %d, want %d", s.Mark, tc.mark)
					}
				case OpLink:
				case OpUp:
					got.WriteString("up\n")
				default:
					got.WriteString(s.String() + "\n")
				}
				if s.Skip != "" || s.Why == "" {
					t.Errorf("%s: skipped %q, why %q", s, s.Skip, s.Why)
				}
			}
			if got.String() != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got.String(), tc.want)
			}
		})
	}
}

// What this host cannot do is skipped by name, and says what is lost.
func TestBuildDefaultSkips(t *testing.T) {
	host := plainHost
	host.NoIPv6, host.NoNftables = "no IPv6 here", "no nftables here"
	steps, err := Build(conf(t, "", "AllowedIPs = 0.0.0.0/0, ::/0"), host)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		want := ""
		switch {
		case s.Prefix.Addr().Is6():
			want = host.NoIPv6
		case s.Op == OpFirewall:
			want = "no nftables here; without the table wg-quick-wg0, others on this host's networks can reach its addresses in the tunnel"
		}
		if !strings.HasPrefix(s.Skip, want) || want == "" && s.Skip != "" {
			t.Errorf("%s is skipped by %q, want %q", s, s.Skip, want)
		}
	}
}

// IPv6 may be disabled for new interfaces only: then the old ones leak.
func TestBuildWarnsOfLeak(t *testing.T) {
	host := plainHost
	host.NoIPv6, host.Default.V6.Default = "no IPv6 here", "via fe80::1 dev eth0"
	steps, err := Build(conf(t, "", "AllowedIPs = ::/0"), host)
	if err != nil {
		t.Fatal(err)
	}
	want := "no IPv6 here; what this host sends by its own default route via fe80::1 dev eth0 stays outside of the tunnel"
	if !slices.ContainsFunc(steps, func(s Step) bool { return s.Op == OpRoute && s.Skip == want }) {
		t.Errorf("%q is not said in %+v", want, steps)
	}
}

// A full tunnel for one family is told of where the other leaves beside it.
func TestBuildWarnsOfOneFamily(t *testing.T) {
	const way = "via fe80::1 dev eth0"
	for _, tc := range []struct {
		allowed, v6 string
		switched    bool // the kill switch is on
		want        string
	}{
		{allowed: "0.0.0.0/0", v6: way, want: "all IPv4 packets go through the tunnel, but IPv6 ones leave outside of it: " + way},
		{allowed: "0.0.0.0/0"},
		{allowed: "0.0.0.0/0, ::/0", v6: way},
		{allowed: "0.0.0.0/0, ::/1, 8000::/1", v6: way},
		{allowed: "0.0.0.0/0", v6: way, switched: true},
		{allowed: "10.0.0.0/8", v6: way},
	} {
		host := plainHost
		host.Default.V6.Default = tc.v6
		c := conf(t, "", "AllowedIPs = "+tc.allowed)
		c.Interface.KillSwitch = tc.switched
		steps, err := Build(c, host)
		if err != nil {
			t.Fatal(err)
		}
		var notes []string
		for _, s := range steps {
			if s.Note != "" {
				notes = append(notes, s.Note)
			}
		}
		if got := strings.Join(notes, "\n"); got != tc.want {
			t.Errorf("%+v: notes %q", tc, got)
		}
	}
}

func TestDefaultSaysWhy(t *testing.T) {
	steps, err := Build(conf(t, "", "# Name = hub\nAllowedIPs = 0.0.0.0/0"), plainHost)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range steps {
		all = append(all, s.Why)
	}
	why := strings.Join(all, "\n")
	for _, want := range []string{
		"and the mark 51820 for encrypted packets",
		"AllowedIPs of peer hub, line 6; it goes before the default route via 10.9.1.1 dev eth0",
		"not the encrypted ones, which carry the mark and leave via 10.9.1.1 dev eth0",
		"so 10.9.1.0/24 dev eth0 stay reachable",
	} {
		if !strings.Contains(why, want) {
			t.Errorf("%q is not in\n%s", want, why)
		}
	}
}

func defaultStage(t *testing.T) *stage {
	s := newStage(t)
	var err error
	s.steps, err = Build(conf(t, "", "AllowedIPs = 0.0.0.0/0"), plainHost)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// However far Apply gets, nothing stays; also if another process undoes it,
// after the link has gone with its own.
func TestDefaultUndone(t *testing.T) {
	for fail := range 9 {
		s := defaultStage(t)
		j := s.create(t)
		n := 0
		s.before = func(string) error {
			if n++; n > fail {
				s.before = nil
				return errors.New("no")
			}
			return nil
		}
		if err := s.Apply(t.Context(), s.steps, j); (err != nil) != (fail < 8) {
			t.Errorf("failing at %d: %v", fail, err)
		}
		if fail < 8 {
			s.wantNothing(t)
			continue
		}
		s.index, s.has, s.before = 0, nil, nil // killed
		if err := s.Undo(context.Background(), s.open(t)); err != nil {
			t.Error(err)
		}
		s.wantNothing(t)
	}
}

// A table of the firewall is known by its name alone: if somebody else's link
// has the name now, so may the table. Rules are known by more.
func TestUndoLeavesStrangersFirewall(t *testing.T) {
	s := defaultStage(t)
	if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	s.index = 99
	if err := s.Undo(t.Context(), s.open(t)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(s.stays, []string{"table wg-quick-wg0"}) {
		t.Errorf("left: %v", s.stays)
	}
	s.index, s.has, s.stays = 0, nil, nil
	s.wantNothing(t)
}

// What others need now is left, and that is no failure.
func TestUndoLeavesWhatIsInUse(t *testing.T) {
	s := defaultStage(t)
	if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
		t.Fatal(err)
	}
	s.marked = "32765: not from all fwmark 0x7 lookup 7" // wg-quick's
	if err := s.Undo(t.Context(), s.open(t)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(s.stays, []string{"net.ipv4.conf.all.src_valid_mark=1"}) || !strings.Contains(s.out.String(), "[!] left as it is: ") {
		t.Errorf("left: %v, after printing\n%s", s.stays, &s.out)
	}
}
