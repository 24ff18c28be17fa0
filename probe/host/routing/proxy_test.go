//go:build linux

package routing

import "testing"

// Who has an address of a link's network behind another link must be answered for there: the
// fix has the host do so.
func TestProxy(t *testing.T) {
	for _, c := range []struct {
		addr    string
		do      []string // beside the links and addresses
		related bool
		answers bool
	}{
		{addr: "10.9.0.77", related: true},
		{addr: "10.9.0.77", do: []string{"neigh add proxy 10.9.0.77 dev eth0"}, related: true, answers: true},
		{addr: "10.9.0.77", do: []string{"neigh add proxy 10.9.0.78 dev eth0"}, related: true},
		{addr: "10.9.1.77"}, {addr: "10.9.0.1"}, {addr: "10.8.0.9"},
		{addr: "fd09::77", related: true},
		{addr: "fd09::77", do: []string{"-6 neigh add proxy fd09::77 dev eth0"}, related: true}, // and proxy_ndp is off
		{addr: "fd08::77"},
	} {
		ownNamespace(t, append([]string{"link add eth0 type veth peer name far", "link set eth0 up", "link set far up",
			"address add 10.9.0.1/24 dev eth0", "address add 10.8.0.1/32 dev eth0", "-6 address add fd09::1/64 dev eth0 nodad"}, c.do...)...)
		p := take(t).Proxy(addr(c.addr), "eth0")
		if (p != nil) != c.related || p != nil && p.Answers != c.answers {
			t.Errorf("%s, %v: %+v", c.addr, c.do, p)
			continue
		}
		if p == nil || p.Answers {
			continue
		}
		for _, command := range p.Fix {
			follow(t, command)
		}
		if again := take(t).Proxy(addr(c.addr), "eth0"); len(p.Fix) == 0 || !again.Answers {
			t.Errorf("%s: after %q: %+v", c.addr, p.Fix, again)
		}
	}
}
