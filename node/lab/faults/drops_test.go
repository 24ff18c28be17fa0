//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/wgnode/wgnode/node/droplist"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/schema/schematest"
)

// listing is a running `wgnode drops --json`.
type listing struct {
	s *site
	*lab.Proc
}

func (s *site) lists(h *lab.Host, filter ...string) *listing {
	s.T.Helper()
	l := &listing{s, h.Start(append([]string{s.Wgnode, "drops", "wg0", "--json"}, filter...)...)}
	l.WaitOutput(patience.Context(s.T), "looking at what the kernel drops of wg0")
	return l
}

// rows are those printed so far.
func (l *listing) rows() []droplist.Row {
	l.s.T.Helper()
	var all []droplist.Row
	for line := range strings.Lines(l.Output()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "\n") {
			continue
		}
		if err := schematest.Validate("drops", json.RawMessage(line)); err != nil {
			l.s.T.Errorf("drops printed what its schema does not have: %v\n%s", err, line)
		}
		var r droplist.Row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			l.s.T.Fatalf("%v in %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// wants waits for a row, and wants no other to be there that is proven.
func (l *listing) wants(want string) {
	l.s.T.Helper()
	said := func(r *droplist.Row) string {
		return strings.Join([]string{r.Segment, r.Reason, r.Place, r.Hook, r.Device, r.Packet.Kind, fmt.Sprint(r.Proven)}, " ")
	}
	patience.See(l.s.T, want, func() (string, bool) {
		out := l.Output()
		for _, r := range l.rows() {
			if matches(want, said(&r)) {
				return out, true
			}
		}
		return out, false
	})
	for _, r := range proven(l.rows()) {
		if !matches(want, said(&r)) {
			l.s.T.Errorf("want %s, and there is also %s: %+v", want, said(&r), r)
		}
	}
}

// proven are those that are no hints: connections that work have these, too, such as of a SYN that
// a slow machine has sent again.
func proven(rows []droplist.Row) []droplist.Row {
	return slices.DeleteFunc(rows, func(r droplist.Row) bool { return !r.Proven })
}

func matches(want, said string) bool {
	return regexp.MustCompile("^(?:" + want + ")$").MatchString(said)
}

// What the kernel drops of a tunnel's packets is listed with its reason and its place, while
// the same mechanism for others, and traffic that passes, are not.
func TestDrops(t *testing.T) {
	t.Parallel()
	web, reply := packets{proto: "tcp", dport: 80}, packets{proto: "tcp", sport: 80}
	toH, fromH := packets{proto: "udp", dport: 51820}, packets{proto: "udp", sport: 51820}
	const encrypted = `(data|keepalive|initiation|response) true`
	cases := []struct {
		name string
		host func(*site) *lab.Host
		p    packets
		wall firewall
		want string // segment, reason, place, hook, device, kind, proven
	}{
		{"nft", hostA, web, chain("inet filter output 0", "drop"), `inner NETFILTER_DROP nft_do_chain output  inner true`},
		{"legacy", hostA, reply, legacy("filter INPUT"), `inner NETFILTER_DROP nf_hook_slow input wg0 inner true`},
		{"tcx", hostA, web, tcx("wg0", ebpf.AttachTCXEgress), `inner TC_EGRESS \w+ egress wg0 inner true`},
		{"to the wire", hostA, toH, tcx("eth0", ebpf.AttachTCXEgress), `outer TC_EGRESS \w+ egress eth0 ` + encrypted},
		{"XDP", hostA, fromH, xdp("eth0"), `outer NOT_SPECIFIED do_xdp_generic ingress eth0 ` + encrypted},
		{"forwarded", hostH, web, tcx("lan", ebpf.AttachTCXEgress), `inner TC_EGRESS \w+ egress lan inner true`},
		{"on the way back", hostH, reply, chain("inet filter prerouting -300", "drop"),
			`inner NETFILTER_DROP nft_do_chain prerouting lan inner true`},
	}
	for _, v6 := range []bool{false, true} {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s, v6=%v", c.name, v6), func(t *testing.T) {
				s := newSite(t, v6)
				s.UpBoth()
				h := c.host(s)
				list := s.lists(h)
				if c.wall.how != "XDP eth0" { // a device has one
					c.wall.put(s, h, c.p.other(), harmless)
				}
				sitetest.NFT(h, "output", "udp dport 999 drop")
				for _, other := range []string{s.IP(s.Addr.RWan), s.IP(s.Addr.HWan)} {
					h.Try("bash", "-c", "echo >/dev/udp/"+other+"/999")
				}
				s.A.Run("curl", "-sS", "http://"+s.Web())
				s.A.Ping(s.Inner(2))
				if rows := proven(list.rows()); len(rows) > 0 {
					t.Errorf("listed, while the tunnel loses nothing: %+v", rows)
				}
				c.wall.put(s, h, c.p, culprit)
				defer s.Calls(s.Web()).Stop()
				list.wants(c.want)
			})
		}
	}
}

// What is routed to the tunnel is its own before it is there, also with a default route,
// which says nothing of an address.
func TestDropsOfFullTunnel(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.ConfA.Replace(t, "AllowedIPs = ", "AllowedIPs = 0.0.0.0/0, ")
	s.UpBoth()
	list := s.lists(s.A)
	sitetest.NFT(s.A, "output", "udp dport 999 drop")
	for _, to := range []string{s.IP(s.Addr.RLan), "203.0.113.77"} { // the first stays outside
		_, _, err := s.A.Try("bash", "-c", "echo >/dev/udp/"+to+"/999")
		if err != nil {
			t.Fatal(err)
		}
	}
	list.wants(`inner NETFILTER_DROP nft_do_chain output  inner true`)
	for _, r := range list.rows() {
		if r.Packet.Dst != "203.0.113.77" || r.Packet.PeerName != "gateway" || r.Count != 1 {
			t.Errorf("listed: %+v", r)
		}
	}
}

// A filter says which; all packets are counted, and of a filter's those that it has seen.
func TestDropsCounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	all, some := s.lists(s.A), s.lists(s.A, "reason", "netfilter_drop", "dst", "port", "999")
	sitetest.NFT(s.A, "output", "udp dport { 998, 999 } drop")
	const flood = 3000
	s.A.Run("bash", "-c", fmt.Sprintf("exec 3>/dev/udp/%s/998 4>/dev/udp/%[1]s/999 2>/dev/null; echo >&4 || :; "+
		"for ((i = 0; i < %d; i++)); do echo >&3 || :; done", s.Inner(2), flood))
	patience.See(t, "all packets counted", func() (string, bool) {
		rows := all.rows()
		return all.Output(), len(rows) > 0 && rows[len(rows)-1].Count == flood+1
	})
	if n := len(all.rows()); n > flood/2 {
		t.Errorf("%d packets are reported of a flood of %d", n, flood)
	}
	some.WaitOutput(patience.Context(t), `"dport":999`)
	for _, r := range some.rows() {
		if r.Packet.DPort != 999 || r.Count != 1 {
			t.Errorf("with a filter: %+v", r)
		}
	}
}
