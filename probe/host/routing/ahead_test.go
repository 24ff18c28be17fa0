//go:build linux

package routing

import (
	"os/exec"
	"strings"
	"testing"
)

// A rule ahead leads where it says once it is there, and not where no table leads elsewhere.
func TestAhead(t *testing.T) {
	for _, c := range []struct {
		name, dst string
		commands  []string
		want      string // the link, "" for none
	}{
		{name: "a rule into a table", dst: "192.0.2.7", want: "main0", commands: []string{"route add 192.0.2.0/24 dev other0 table 77",
			"rule add to 192.0.2.0/24 lookup 77 pref 100"}},
		{name: "a rule that rejects", dst: "192.0.2.7", want: "main0", commands: []string{"rule add to 192.0.2.0/24 prohibit pref 100"}},
		{name: "a route that rejects, in a table, IPv6", dst: "fd07::7", want: "main0", commands: []string{
			"-6 route add unreachable fd07::/64 table 77", "-6 rule add to fd07::/64 lookup 77 pref 100"}},
		{name: "the way is in another table", dst: "198.51.100.7", want: "other0", commands: []string{
			"rule add to 198.51.100.0/24 blackhole pref 100", "route add default dev other0 table 78", "rule add lookup 78 pref 200"}},
		{name: "there is no other way", dst: "198.51.100.7", commands: []string{"rule add to 198.51.100.0/24 blackhole pref 100"}},
		{name: "the same way", dst: "192.0.2.7", commands: []string{"route add 192.0.2.0/24 dev main0 table 77",
			"rule add to 192.0.2.0/24 lookup 77 pref 100"}},
		{name: "main decides", dst: "192.0.2.7", commands: []string{"route add default dev other0 table 78", "rule add lookup 78 pref 40000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ownNamespace(t, append([]string{"link add main0 type veth peer name main1", "link set main0 up", "link set main1 up",
				"link add other0 type veth peer name other1", "link set other0 up", "link set other1 up", "address add 203.0.113.1/24 dev main0",
				"route add 192.0.2.0/24 dev main0",
				"-6 route add fd07::/64 dev main0"}, c.commands...)...)
			flow := Flow{Dst: addr(c.dst)}.Own()
			decide := func() (*Snapshot, Walk) {
				s, err := Take(Options{})
				if err != nil {
					t.Fatal(err)
				}
				return s, s.Walk(flow)
			}
			s, w := decide()
			ahead := s.Evidence(&w).Ahead
			if c.want == "" {
				if len(ahead) > 0 {
					t.Errorf("%+v, want none", ahead)
				}
				return
			}
			if len(ahead) == 0 || ahead[0].Interface != c.want {
				t.Fatalf("%+v, want one that leads to %s", ahead, c.want)
			}
			if out, err := exec.Command("sh", "-c", ahead[0].Command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", ahead[0].Command, err, out)
			}
			if out, err := exec.Command("ip", "route", "get", c.dst).CombinedOutput(); err != nil || !strings.Contains(string(out), "dev "+c.want) {
				t.Errorf("after %s: %v\n%s", ahead[0].Command, err, out)
			}
		})
	}
}
