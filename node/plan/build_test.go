package plan

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/resolver"
	"github.com/wgnode/wgnode/probe/key"
)

var (
	pubA = strings.Repeat("A", 42) + "E="
	pubB = strings.Repeat("B", 42) + "E="
)

// conf makes a configuration with an interface section and one peer.
func conf(t *testing.T, iface, peer string) *config.Config {
	t.Helper()
	c, err := config.Parse(strings.NewReader("[Interface]\n"+iface+"\n[Peer]\nPublicKey="+pubA+"\n"+peer), "wg0.conf")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What wg-quick does for a link, before anything else and after it.
const linkAdded, linkUp = "ip link add dev wg0 type wireguard\nwg addconf wg0 /dev/fd/63\n", "ip link set mtu 1420 up dev wg0\n"

// buildTests are configurations, and the steps that bring them up.
var buildTests = []struct {
	name        string
	iface, peer string
	host        State
	want        string
}{
	{name: "nothing but a link", want: linkAdded + linkUp},
	{
		name: "addresses in the order of the file", iface: "Address = fd00::1/64, 10.0.0.1/24\nAddress = 10.0.9.1",
		want: linkAdded + `ip -6 address add fd00::1/64 dev wg0
ip -4 address add 10.0.0.1/24 dev wg0
ip -4 address add 10.0.9.1/32 dev wg0
` + linkUp,
	},
	{
		name: "routes longest first, families mixed", peer: "AllowedIPs = 10.0.0.0/8, fd00::/48, 10.2.0.0/16, 10.1.0.0/16, 10.9.9.9, fd00::1",
		want: linkAdded + linkUp + `ip -6 route add fd00::1/128 dev wg0
ip -6 route add fd00::/48 dev wg0
ip -4 route add 10.9.9.9/32 dev wg0
ip -4 route add 10.2.0.0/16 dev wg0
ip -4 route add 10.1.0.0/16 dev wg0
ip -4 route add 10.0.0.0/8 dev wg0
`,
	},
	{
		name: "an address's network needs no route", iface: "Address = 10.0.0.1/24, fd00::1/64",
		peer: "AllowedIPs = 10.0.0.0/24, 10.0.0.7, 10.0.0.0/23, fd00::7, fd01::/64",
		want: linkAdded + `ip -4 address add 10.0.0.1/24 dev wg0
ip -6 address add fd00::1/64 dev wg0
` + linkUp + `ip -6 route add fd01::/64 dev wg0
ip -4 route add 10.0.0.0/23 dev wg0
`,
	},
	{
		name: "an IPv4 address of full length has no network, an IPv6 one has", iface: "Address = 10.0.0.1, fd00::1",
		peer: "AllowedIPs = 10.0.0.1, fd00::1",
		want: linkAdded + `ip -4 address add 10.0.0.1/32 dev wg0
ip -6 address add fd00::1/128 dev wg0
` + linkUp + "ip -4 route add 10.0.0.1/32 dev wg0\n",
	},
	{
		name: "a link that has IPv6 has its link-local network", peer: "AllowedIPs = fe80::/64, fe80::1, fe80::/10",
		want: linkAdded + linkUp + "ip -6 route add fe80::/10 dev wg0\n",
	},
	{
		name: "a link too small for IPv6 is well with IPv4", iface: "MTU = 1000\nAddress = fd00::1/64",
		peer: "AllowedIPs = 10.0.0.0/8, fd00::/64",
		want: linkAdded + "ip -6 address add fd00::1/64 dev wg0\nip link set mtu 1000 up dev wg0\nip -4 route add 10.0.0.0/8 dev wg0\n",
	},
	{
		name: "two peers with one prefix get one route", peer: "AllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey=" + pubB +
			"\nAllowedIPs = 10.0.0.0/8",
		want: linkAdded + linkUp + "ip -4 route add 10.0.0.0/8 dev wg0\n",
	},
	{
		name: "name servers before routes", iface: "DNS = 10.0.0.1, corp.example", peer: "AllowedIPs = 10.0.0.0/8",
		host: State{Resolver: resolver.Choice{Kind: resolver.Resolvconf, Prefix: "tun."}},
		want: linkAdded + linkUp + "resolvconf -a tun.wg0 -m 0 -x\nip -4 route add 10.0.0.0/8 dev wg0\n",
	},
	{name: "search domains alone", iface: "DNS = corp.example", want: linkAdded + linkUp},
	{name: "MTU of the configuration", iface: "MTU = 1280", host: State{EndpointMTUs: []int{9000}},
		want: linkAdded + "ip link set mtu 1280 up dev wg0\n"},
	{name: "MTU by the endpoints, the smallest", host: State{EndpointMTUs: []int{1492, 1400, 9000}, DefaultMTU: 1300},
		want: linkAdded + "ip link set mtu 1320 up dev wg0\n"},
	{name: "MTU by the default route", host: State{DefaultMTU: 9000}, want: linkAdded + "ip link set mtu 8920 up dev wg0\n"},
}

func TestBuild(t *testing.T) {
	for _, tc := range buildTests {
		t.Run(tc.name, func(t *testing.T) {
			steps, err := Build(conf(t, tc.iface, tc.peer), tc.host)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, s := range steps {
				if s.Skip != "" {
					t.Errorf("skips %s: %s", s, s.Skip)
				}
				if s.Why == "" {
					t.Errorf("%s has no reason", s)
				}
				got.WriteString(s.String() + "\n")
			}
			if got.String() != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got.String(), tc.want)
			}
		})
	}
}

func TestBuildWithoutIPv6(t *testing.T) {
	steps, err := Build(conf(t, "Address = 10.0.0.1/24, fd00::1/64", "AllowedIPs = fd01::/64, 10.1.0.0/16"), State{NoIPv6: "no IPv6 here"})
	if err != nil {
		t.Fatal(err)
	}
	var skipped []string
	for _, s := range steps {
		if s.Skip != "" {
			skipped = append(skipped, s.String()+": "+s.Skip)
		}
	}
	want := []string{"ip -6 address add fd00::1/64 dev wg0: no IPv6 here", "ip -6 route add fd01::/64 dev wg0: no IPv6 here"}
	if !reflect.DeepEqual(skipped, want) {
		t.Errorf("skips %q, want %q", skipped, want)
	}
}

func TestBuildSaysWhy(t *testing.T) {
	steps, err := Build(conf(t, "", "# Name = office\nAllowedIPs = 10.1.0.0/16"), State{EndpointMTUs: []int{1500}})
	if err != nil {
		t.Fatal(err)
	}
	var why []string
	for _, s := range steps[2:] {
		why = append(why, s.Why)
	}
	want := []string{
		"1500 (the smallest on the paths to the endpoints) less the 80 that WireGuard adds",
		"AllowedIPs of peer office, line 6",
	}
	if !reflect.DeepEqual(why, want) {
		t.Errorf("got %q, want %q", why, want)
	}
}

func TestBuildRefuses(t *testing.T) {
	named := func(name string) *config.Config { return &config.Config{Name: name} }
	for _, tc := range []struct {
		name string
		cfg  *config.Config
		host State
		want string
	}{
		{name: "name taken", cfg: named("wg0"), host: State{LinkExists: true}, want: "`wg0' already exists"},
		{name: "no name", cfg: named(""), want: `"" is not the name of an interface`},
		{name: "long name", cfg: named("sixteen-letters-"), want: `"sixteen-letters-" is not the name of an interface`},
		{name: "tiny MTU", cfg: named("wg0"), host: State{EndpointMTUs: []int{80}},
			want: "compute MTU: 80 (the smallest on the paths to the endpoints) leaves nothing for the tunnel"},
		{
			name: "an MTU too small for a route of IPv6", cfg: conf(t, "MTU = 1200", "AllowedIPs = fe80::/64"),
			want: "MTU 1200 is too small for the route to fe80::/64: IPv6 needs 1280 (it is the MTU that the configuration gives)",
		},
		{
			name: "a way too narrow for a tunnel with IPv6", cfg: conf(t, "", "AllowedIPs = fd00::/64"), host: State{EndpointMTUs: []int{1300}},
			want: "MTU 1220 is too small for the route to fd00::/64: IPv6 needs 1280 (it is 1300 " +
				"(the smallest on the paths to the endpoints) less the " +
				"80 that WireGuard adds)",
		},
		{
			name: "a default route in a container", cfg: conf(t, "", "AllowedIPs = 0.0.0.0/0"),
			host: State{Default: DefaultState{FreeTable: 51820, V4: FamilyState{Priority: 32765},
				SrcValidMarkFixed: "set sysctl: read-only file system"}},
			want: "set sysctl: read-only file system; without it replies to a tunnel that has the default route may be dropped; " +
				"a container gets it by the option --sysctl net.ipv4.conf.all.src_valid_mark=1",
		},
		{
			name: "no room for rules", cfg: conf(t, "", "AllowedIPs = ::/0"),
			host: State{Default: DefaultState{FreeTable: 51820, V6: FamilyState{Priority: 1}}},
			want: "add rules for ::/0: there is no priority left between those of the local table and the next",
		},
	} {
		steps, err := Build(tc.cfg, tc.host)
		if err == nil || err.Error() != tc.want || steps != nil {
			t.Errorf("%s: got %v, %v; want %s", tc.name, steps, err, tc.want)
		}
	}
}

// The journal is read by other processes, perhaps of another release.
func TestStepsSurviveJSON(t *testing.T) {
	cfg := conf(t, "PrivateKey = "+key.GeneratePrivate().Base64()+"\nAddress = 10.0.0.1/24, fd00::1/64", "AllowedIPs = fd01::/64")
	steps, err := Build(cfg, State{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"op":"link","link":"wg0"},{"op":"configure","link":"wg0"},` +
		`{"op":"address","link":"wg0","prefix":"10.0.0.1/24"},{"op":"address","link":"wg0","prefix":"fd00::1/64"},` +
		`{"op":"up","link":"wg0","mtu":1420},{"op":"route","link":"wg0","prefix":"fd01::/64"}]`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var back []Step
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		steps[i].Why = ""
	}
	if !reflect.DeepEqual(back, steps) {
		t.Errorf("came back as %v", back)
	}
}
