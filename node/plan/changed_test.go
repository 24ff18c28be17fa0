package plan

import (
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
)

// What a file comes to mean is said of it once, and of no other.
func TestChanged(t *testing.T) {
	for _, tc := range []struct {
		name, path, iface string
		mtus              []int
		want              string // the beginnings of what is said, a line each
	}{
		{name: "nothing", iface: "PostUp = echo\nPreUp = echo", mtus: []int{1500}},
		{name: "a PreUp that makes the link", iface: "PreUp = true\nPreUp = ip link add %i type wireguard",
			want: "wg0.conf:3: PreUp runs when wg0 is there"},
		{name: "that removes it", iface: "PreUp = ip -4 l del dev wg0 || true\nPreUp = wg-quick down %i", want: "wg0.conf:2: PreUp"},
		{name: "that looks for it", iface: "PreUp = test ! -e /sys/class/net/$INTERFACE", want: "wg0.conf:2: PreUp"},
		{name: "of another link", iface: "PreUp = ip link add wg01 type dummy; ip link show eth0"},
		{name: "that does not care", iface: "PreUp = iptables -A FORWARD -i %i -j ACCEPT\nPreUp = wg set %i private-key /key"},
		{name: "that comes later", iface: "PostUp = ip link show %i"},
		{name: "a comment in a hook", iface: `PostUp = echo 'a' "b" # "c#"` + "\nPostUp = #gone\nPostUp = echo;# x"},
		{name: "in quotes", iface: "PostDown = iptables -m comment --comment \"a # b\"", want: "wg0.conf:2: a hook keeps what follows a #"},
		{name: "in a word", iface: "PreDown = echo\nPreDown = echo a#b # c", want: "wg0.conf:3: a hook"},
		{name: "in an expansion", iface: "PostUp = x=${y#z}\nPostUp = echo $#", want: "wg0.conf:2: a hook"},
		{name: "behind a backslash", iface: `PostUp = echo \# x`, want: "wg0.conf:2: a hook"},
		{name: "behind quotes", iface: `PostUp = echo "x"#y`, want: "wg0.conf:2: a hook"},
		{name: "several MTUs", mtus: []int{1500, 1400}, want: "the MTU fits the smallest MTU on the routes to the endpoints (1400)"},
		{name: "several MTUs, one given", iface: "MTU = 1420", mtus: []int{1500, 1400}},
		{name: "another format", path: "wg0.toml", iface: "PostUp = echo a#b", mtus: []int{1500, 1400}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, err := config.Parse(strings.NewReader("[Interface]\n"+tc.iface+"\n"), "wg0.conf")
			if err != nil {
				t.Fatal(err)
			}
			if tc.path != "" {
				cfg.Path = tc.path
			}
			said := Changed(cfg, State{EndpointMTUs: tc.mtus})
			if got := strings.Join(said, "\n"); len(said) > 1 || !strings.HasPrefix(got, tc.want) || (tc.want == "") != (got == "") {
				t.Errorf("said\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
