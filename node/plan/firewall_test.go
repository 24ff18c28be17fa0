package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestSubtract(t *testing.T) {
	for _, tc := range []struct{ from, others, want string }{
		{"10.0.0.0/8", "", "10.0.0.0/8"},
		{"10.0.0.0/8", "11.0.0.0/8 fd00::/8", "10.0.0.0/8"},
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"10.1.0.0/16", "10.0.0.0/8", ""},
		{"10.0.0.0/8", "10.128.0.0/9", "10.0.0.0/9"},
		{"10.0.0.0/30", "10.0.0.1/32", "10.0.0.0/32 10.0.0.2/31"},
		{"10.0.0.0/30", "10.0.0.1/32 10.0.0.2/32", "10.0.0.0/32 10.0.0.3/32"},
		{"0.0.0.0/1", "64.0.0.0/2 0.0.0.0/2", ""},
		{"::/1", "4000::/2 ::1/128 ::/64", "0:0:0:1::/64 0:0:0:2::/63 0:0:0:4::/62"},
	} {
		got := subtract(netip.MustParsePrefix(tc.from), prefixes(strings.Fields(tc.others)...))
		if text := strings.Join(texts(got), " "); !strings.HasPrefix(text, tc.want) || tc.want == "" && text != "" {
			t.Errorf("%s without %s: got %s, want %s", tc.from, tc.others, text, tc.want)
		}
		// Together they are what they were.
		for _, p := range got {
			if slices.ContainsFunc(prefixes(strings.Fields(tc.others)...), p.Overlaps) || !covers(netip.MustParsePrefix(tc.from), p) {
				t.Errorf("%s without %s: %s is wrong", tc.from, tc.others, p)
			}
		}
	}
}

// beyond is a configuration with keys that only a .toml has.
func beyond(t *testing.T, iface, peer string, set func(*config.Interface)) *config.Config {
	t.Helper()
	c := conf(t, iface, peer)
	set(&c.Interface)
	return c
}

// with is plainHost after an edit.
func with(edit func(*State)) State {
	host := plainHost
	edit(&host)
	return host
}

// The hosts of beyondTests: one that forwards already, one with other settings beside,
// and one where another node has made the change.
var (
	forwarding = with(func(s *State) { s.Forward.V4.On = true })
	awkward    = with(func(s *State) {
		s.Forward = ForwardState{
			V4: Forwarding{Keep: []Sysctl{{"net.ipv4.conf.all.accept_redirects", "0"},
				{"net/ipv4/conf/eth0.7/forwarding", "1"}}},
			Routers: []Router{{"eth0.7", "fe80::1"}},
		}
	})
	own = with(func(s *State) {
		s.Forward.V4.Done = []Step{{Op: OpSysctl, Link: "wg0", Sysctl: forward4, Value: "1", Before: "0", Why: "of before"}}
	})
)

// beyondTests are what wg-quick has not: kill switches, routes around the tunnel, forwarding.
var beyondTests = []struct {
	name        string
	iface, peer string
	host        State
	set         func(*config.Interface)
	mark        uint32
	want        string
}{
	{name: "kill switch, without a default route", peer: "AllowedIPs = 10.1.0.0/16", host: plainHost,
		set: func(i *config.Interface) { i.KillSwitch = true }, mark: 51820,
		want: `nft -f /dev/fd/63
ip link add dev wg0 type wireguard
ip -4 route add 10.1.0.0/16 dev wg0
`},
	{name: "kill switch, with a mark", iface: "FwMark = 7", peer: "AllowedIPs = 10.1.0.0/16", host: plainHost,
		set: func(i *config.Interface) { i.KillSwitch = true }, mark: 7,
		want: `nft -f /dev/fd/63
ip link add dev wg0 type wireguard
ip -4 route add 10.1.0.0/16 dev wg0
`},
	{name: "exclude, from the main table", iface: "Address = 10.0.0.1/24",
		peer: "AllowedIPs = 10.0.0.0/8, 10.1.2.0/24, 192.0.2.0/24", host: plainHost,
		set: func(i *config.Interface) { i.Exclude = prefixes("10.0.0.0/9", "198.51.100.0/24") }, want: `ip link add dev wg0 type wireguard
ip -4 address add 10.0.0.1/24 dev wg0
ip -4 route add 192.0.2.0/24 dev wg0
ip -4 route add 10.128.0.0/9 dev wg0
`},
	{name: "exclude, from another table", iface: "Table = 9",
		peer: "AllowedIPs = 10.0.0.0/8, 10.1.2.0/24, 192.0.2.0/24, ::/0", host: plainHost,
		set: func(i *config.Interface) { i.Exclude = prefixes("10.1.0.0/16", "fd00::/8") }, want: `ip link add dev wg0 type wireguard
ip -4 route add 192.0.2.0/24 dev wg0 table 9
ip -4 route add throw 10.1.0.0/16 table 9
ip -4 route add 10.0.0.0/8 dev wg0 table 9
ip -6 route add throw fd00::/8 table 9
ip -6 route add ::/0 dev wg0 table 9
`},
	{name: "forward, on already", iface: "Address = 10.0.0.1/24", host: forwarding,
		set: func(i *config.Interface) { i.Forward = true },
		want: `sysctl -q net.ipv4.ip_forward=1
ip link add dev wg0 type wireguard
ip -4 address add 10.0.0.1/24 dev wg0
nft -f /dev/fd/63
`},
	{name: "masquerade implies it; what it changes", iface: "Address = 10.0.0.1/24, fd00::1/64", host: awkward,
		set: func(i *config.Interface) { i.Masquerade = []string{"eth0"} },
		want: `sysctl -q net.ipv4.conf.all.accept_redirects=0
sysctl -q net/ipv4/conf/eth0.7/forwarding=1
sysctl -q net.ipv4.ip_forward=1
sysctl -q net/ipv6/conf/eth0.7/accept_ra=2
sysctl -q net.ipv6.conf.all.forwarding=1
ip link add dev wg0 type wireguard
ip -4 address add 10.0.0.1/24 dev wg0
ip -6 address add fd00::1/64 dev wg0
nft -f /dev/fd/63
`},
	{name: "turned on by this node", iface: "Address = 10.0.0.1/24", host: own,
		set: func(i *config.Interface) { i.Forward = true },
		want: `sysctl -q net.ipv4.ip_forward=1
ip link add dev wg0 type wireguard
ip -4 address add 10.0.0.1/24 dev wg0
nft -f /dev/fd/63
`},
}

func TestBuildBeyondWgQuick(t *testing.T) {
	for _, tc := range beyondTests {
		t.Run(tc.name, func(t *testing.T) {
			steps, err := Build(beyond(t, tc.iface, tc.peer, tc.set), tc.host)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, s := range steps {
				switch s.Op {
				case OpConfigure:
					if s.Mark != tc.mark {
						t.Errorf("the mark is %d, want %d", s.Mark, tc.mark)
					}
				case OpUp:
				case OpKillSwitch:
					if s.KillSwitch.Mark != tc.mark {
						t.Errorf("the kill switch has the mark %d, want %d", s.KillSwitch.Mark, tc.mark)
					}
					fallthrough
				default:
					got.WriteString(s.String() + "\n")
				}
				if s.Why == "" {
					t.Errorf("%s: no reason", s)
				}
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What cannot be had is refused, not left out.
func TestBuildRefusesWithoutFirewall(t *testing.T) {
	bare := plainHost
	bare.NoNftables = "no nftables here"
	other := plainHost
	other.KillSwitch.Others = []string{"wg7"}
	container := plainHost
	container.Forward.V4.Fixed = "set sysctl net.ipv4.ip_forward: read-only file system"
	for _, tc := range []struct {
		host State
		set  func(*config.Interface)
		want string
	}{
		{bare, func(i *config.Interface) { i.KillSwitch = true }, "kill_switch: no nftables here; without nftables there is none"},
		{bare, func(i *config.Interface) { i.Masquerade = []string{"eth0"} }, "no nftables here"},
		{bare, func(i *config.Interface) { i.PortForwards = make([]config.PortForward, 1) }, "no nftables here"},
		{other, func(i *config.Interface) { i.KillSwitch = true }, "wg7 has one already"},
		{plainHost, func(i *config.Interface) { i.Exclude = prefixes("::/0") }, "exclude ::/0: that leaves nothing"},
		{container, func(i *config.Interface) { i.Forward = true }, "a container gets it by the option --sysctl net.ipv4.ip_forward=1"},
	} {
		_, err := Build(beyond(t, "Address = 10.0.0.1/24", "", tc.set), tc.host)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	host := plainHost
	host.Forward = ForwardState{Missing: []string{"eth9"}, Dropping: []string{"chain ip filter FORWARD"}}
	other := plainHost
	other.KillSwitch.Others = []string{"wg7"}
	for _, tc := range []struct {
		host State
		set  func(*config.Interface)
		want []string
	}{
		{plainHost, func(*config.Interface) {}, nil},
		{other, func(*config.Interface) {}, []string{"the kill switch of wg7 drops what wg0 sends, unless that goes through wg7"}},
		{plainHost, func(i *config.Interface) { i.KillSwitch, i.Forward = true, true }, []string{
			"kill_switch without a default route in AllowedIPs: this host reaches nothing but what AllowedIPs cover",
			"kill_switch without kill_switch_lan drops what is forwarded out of the tunnel"}},
		{plainHost, func(i *config.Interface) { i.Exclude = prefixes("10.0.0.7/32", "10.0.0.0/8", "192.0.2.0/24") }, []string{
			"exclude 10.0.0.7/32 has no effect: it is in the network of Address 10.0.0.1/24, which the kernel leads into wg0",
			"exclude 192.0.2.0/24 has no effect: no AllowedIPs lead there"}},
		{host, func(i *config.Interface) { i.Masquerade = []string{"eth9"} }, []string{
			"masquerade: interface eth9 does not exist yet",
			"chain ip filter FORWARD drops what is forwarded unless a rule of its own accepts it; Docker and others set it so, " +
				"and no other table can overrule it"}},
	} {
		got := Warnings(beyond(t, "Address = 10.0.0.1/24", "AllowedIPs = 10.0.0.0/8", tc.set), tc.host)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A network of public addresses is no LAN, whatever a router says is on the link.
func TestLAN(t *testing.T) {
	all := []nftables.Network{
		{Link: "eth0", Prefix: netip.MustParsePrefix("192.168.1.0/24")}, {Link: "eth0", Prefix: netip.MustParsePrefix("fe80::/64")},
		{Link: "eth0", Prefix: netip.MustParsePrefix("203.0.113.0/24")}, {Link: "eth0", Prefix: netip.MustParsePrefix("0.0.0.0/1")},
		{Link: "eth0", Prefix: netip.MustParsePrefix("192.0.0.0/8")}, {Link: "eth0", Prefix: netip.MustParsePrefix("2001:db8::/64")},
		{Link: "wg0", Prefix: netip.MustParsePrefix("10.0.0.0/24")}, {Link: "docker0", Prefix: netip.MustParsePrefix("172.17.0.0/16")},
	}
	want := []nftables.Network{all[0], all[1], all[7]}
	if got := lan(all, "wg0"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func beyondStage(t *testing.T) *stage {
	s := newStage(t)
	var err error
	s.steps, err = Build(beyond(t, "Address = 10.0.0.1/24", "AllowedIPs = 0.0.0.0/0", func(i *config.Interface) {
		i.KillSwitch, i.Forward, i.Exclude = true, true, prefixes("10.0.0.0/9")
	}), plainHost)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const table = "table wgnode-killswitch-wg0"

// Whenever the node is killed or fails, the kill switch is there before
// everything else and goes last. Down leaves nothing; up takes it over, and it
// is there all the time, also if that up fails wherever it may.
func TestKillSwitchStands(t *testing.T) {
	errNo := errors.New("no")
	for kill := 1; ; kill++ {
		done := false
		for fail := 1; !done; fail++ {
			s := beyondStage(t)
			n := 0
			s.before = func(string) error {
				if n++; n > 1 && !slices.Contains(s.stays, table) {
					t.Errorf("killed at %d: the kill switch is not there at change %d", kill, n)
				}
				if n == kill {
					panic(errNo) // as good as SIGKILL: nothing is undone
				}
				return nil
			}
			killed := func() (killed bool) {
				defer func() { killed = recover() != nil }()
				if err := s.Apply(t.Context(), s.steps, s.create(t)); err != nil {
					t.Error(err)
				}
				return false
			}()
			s.index = 0 // the link has gone with the process
			s.has = nil

			j := s.open(t)
			stood := slices.Contains(s.stays, table)
			s.before = func(change string) error {
				if stood && !slices.Contains(s.stays, table) || change == "delete "+table {
					t.Errorf("killed at %d: recovering opens the kill switch", kill)
				}
				return nil
			}
			if err := s.UndoExcept(t.Context(), j, OpKillSwitch); err != nil {
				t.Error(err)
			}
			if err := j.TakeOver(""); err != nil {
				t.Fatal(err)
			}
			n = 0
			s.before = func(change string) error {
				if n++; n == fail {
					return errNo
				}
				if n > 1 && !slices.Contains(s.stays, table) {
					t.Errorf("killed at %d, failing at %d: the kill switch is open at %q", kill, fail, change)
				}
				return nil
			}
			err := s.Apply(t.Context(), s.steps, j)
			done = n < fail
			if (err == nil) != done {
				t.Errorf("killed at %d, failing at %d of %d: %v", kill, fail, n, err)
			}
			s.before = nil
			if err != nil && stood && fmt.Sprint(s.stays) != "["+table+"]" {
				t.Errorf("killed at %d, failing at %d: %v stays", kill, fail, s.stays)
			}
			if err := s.Undo(t.Context(), s.open(t)); err != nil {
				t.Error(err)
			}
			s.wantNothing(t)
			if !killed {
				return
			}
		}
	}
}

// A node that looks for the difference that another configuration makes does not
// take its own forwarding for somebody else's.
func TestForwardUnchanged(t *testing.T) {
	cfg := beyond(t, "Address = 10.0.0.1/24, fd00::1/64", "", func(i *config.Interface) { i.Masquerade = []string{"eth0"} })
	before := plainHost
	before.Forward = ForwardState{V4: Forwarding{Keep: []Sysctl{{"net.ipv4.conf.lan.forwarding", "1"}}},
		Routers: []Router{{"eth0", "fe80::1"}}}
	steps, err := Build(cfg, before)
	if err != nil {
		t.Fatal(err)
	}
	now := plainHost
	now.Forward = ForwardState{V4: Forwarding{On: true}, V6: Forwarding{On: true}}
	now.Except(steps)
	again, err := Build(cfg, now)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(steps, again, same) {
		t.Errorf("got\n%v\nwant\n%v", again, steps)
	}
}
