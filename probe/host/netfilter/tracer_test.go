//go:build linux

package netfilter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/probe/host/conntrack"
	"github.com/wgnode/wgnode/probe/host/netfilter"
	"github.com/wgnode/wgnode/probe/patience"
)

// What routing does not let through must not be blamed on a rule.
func TestLostBetweenHooks(t *testing.T) {
	n := newNetwork(t)
	n.rules("table inet t { chain f { type filter hook forward priority 0; policy drop; } }")
	for _, tt := range []struct {
		name, sysctl, value string
		flow                flow
	}{
		{name: "forwarding off", sysctl: "net.ipv4.ip_forward", value: "0", flow: flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}},
		{name: "forwarding off, IPv6", sysctl: "net.ipv6.conf.all.forwarding", value: "0",
			flow: flow{"tcp", n.a, "[fd00:1::2]:4000", "[fd00:2::2]:80"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := n.with(t)
			tr := n.start(tt.flow.match())
			n.r.Sysctl(tt.sysctl, tt.value)
			tt.flow.send(t)
			want := netfilter.Fate{Outcome: netfilter.Lost, Hook: netfilter.Prerouting}
			if f := n.next(tr).Fate(); f.Outcome != want.Outcome || f.Hook != want.Hook {
				t.Errorf("%+v, want %+v", f, want)
			}
		})
	}
}

// Translations show in the headers, and at the gates where no rule saw them.
func TestTranslations(t *testing.T) {
	n := newNetwork(t)
	n.rules(`table inet nat {
		chain pre { type nat hook prerouting priority dstnat; udp dport 8053 dnat ip to 10.0.2.2:53; }
		chain post { type nat hook postrouting priority srcnat; meta nfproto ipv4 oifname "b" masquerade; }
	}`)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.1.1:8053"}
	server := n.b.ListenPacket("udp", "10.0.2.2:53")
	reply := netfilter.Match{Src: netip.MustParsePrefix("10.0.2.2/32"), Proto: unix.IPPROTO_UDP, SrcPort: 53}
	tr := n.start(f.match(), reply)
	f.send(t)
	var b [100]byte
	_, from, err := server.ReadFrom(b[:])
	if err != nil {
		t.Fatal(err)
	}
	p := n.next(tr)
	if got := p.Fate(); p.Match != 0 || got.Outcome != netfilter.Passed || got.Hook != netfilter.Postrouting {
		t.Fatalf("%+v of match %d", got, p.Match)
	}
	show := func(p *netfilter.Packet) (all []string) {
		for _, tr := range p.Translations {
			all = append(all, fmt.Sprintf("%v: %v > %v became %v > %v", tr.Hook,
				tr.From.Source(), tr.From.Destination(), tr.To.Source(), tr.To.Destination()))
		}
		return all
	}
	want := []string{
		// The chain of type nat gets the packet as it came; the next to see it
		// is that of postrouting.
		"postrouting: 10.0.1.2:4000 > 10.0.1.1:8053 became 10.0.1.2:4000 > 10.0.2.2:53",
		"postrouting: 10.0.1.2:4000 > 10.0.2.2:53 became 10.0.2.1:4000 > 10.0.2.2:53",
	}
	if got := show(p); !slices.Equal(got, want) {
		t.Errorf("translations\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var chains []string
	for _, v := range p.Visits {
		chains = append(chains, fmt.Sprintf("%v %v %s", v.Chain, v.Chain.Hook, v.Chain.Type))
	}
	if want := []string{"inet nat pre prerouting nat", "inet nat post postrouting nat"}; !slices.Equal(chains, want) {
		t.Errorf("visits %q, want %q", chains, want)
	}

	if _, err := server.WriteTo([]byte("there"), from); err != nil {
		t.Fatal(err)
	}
	p = n.next(tr)
	if got := p.Fate(); p.Match != 1 || got.Outcome != netfilter.Passed {
		t.Fatalf("%+v of match %d", got, p.Match)
	}
	if ct := p.Last.Conntrack; ct.Known {
		var e conntrack.Entry
		err := n.r.Do(func() (err error) {
			e, err = conntrack.Find(func(e conntrack.Entry) bool { return e.ID == ct.ID })
			return err
		})
		if err != nil || e.Original.Source().String() != f.src || !ct.Reply || ct.State != netfilter.Established {
			t.Errorf("conntrack of the trace %+v: %v, %v", ct, e, err)
		}
	}
	if got := string(p.First.Data[:]); got != "there\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("the reply begins with %q", got)
	}
	if p.Last.Source().String() != "10.0.1.1:8053" || p.Last.Destination().String() != "10.0.1.2:4000" {
		t.Errorf("the reply leaves as %v > %v", p.Last.Source(), p.Last.Destination())
	}
}

// Other flows of the same hosts, which move the counters of other rules, are not
// traced, and those rules are not blamed.
func TestOnlyTheFlow(t *testing.T) {
	n := newNetwork(t)
	n.rules(`table inet t { chain f { type filter hook forward priority 0; udp dport 54 counter drop
		udp sport 4000 counter drop
		udp dport 53 counter drop; } }`)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	m := f.match()
	m.Payload = 5
	tr := n.start(m)
	stop := make(chan struct{})
	noise := n.a.ListenPacket("udp", "10.0.1.2:5000")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, port := range []int{53, 54} {
				// The noise is no part of what is tested.
				_, _ = noise.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(10, 0, 2, 2), Port: port})
			}
		}
	}()
	for range 20 {
		f.send(t)
		p := n.next(tr)
		if p.First.Source().String() != f.src || p.First.Destination().String() != f.dst {
			t.Fatalf("traced %v > %v", p.First.Source(), p.First.Destination())
		}
		rule, err := n.rule(tr, p.Fate())
		if err != nil || rule.Text != "udp sport 4000 counter drop" || rule.Position != 2 {
			t.Fatalf("blamed %v, %v", rule, err)
		}
	}
	close(stop)
	<-done
	none(t, tr)
	if tr.Lost() != 0 {
		t.Errorf("%d events lost", tr.Lost())
	}
}

// none fails the test if there is another packet.
func none(t *testing.T, tr *netfilter.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if p, err := tr.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("there is another: %+v, %v", p, err)
	}
}

// All that a packet meets is told, in order, and nothing of those who watch:
// another tracer, or a rule that someone left to trace everything.
func TestSteps(t *testing.T) {
	n := newNetwork(t)
	n.rules(`table ip pre { chain raw { type filter hook prerouting priority raw; meta nftrace set 1; } }
		table inet filter {
			chain global {
				ct state established accept
				tcp dport 1 drop
				udp dport 53 meta mark set 7
				udp sport 4000 return
				drop
			}
			chain deep {
				goto global
			}
			chain forward {
				type filter hook forward priority 0; policy drop
				jump deep
				meta mark 7 accept
			}
		}`)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	first, second := n.start(f.match()), n.start(f.match())
	flow{"udp", n.a, "10.0.1.2:4001", "10.0.2.2:53"}.send(t) // traced by the rule
	f.send(t)
	want := `ip pre raw at prerouting
  raw rule continue mark 0
  raw end continue mark 0
  raw policy accept mark 0
inet filter forward at forward
  forward rule jump deep mark 0
  deep rule goto global mark 0
  global rule continue mark 7
  global rule return mark 7
  forward rule accept mark 7
`
	for _, tr := range []*netfilter.Tracer{first, second} {
		p := n.next(tr)
		var got strings.Builder
		for _, v := range p.Visits {
			fmt.Fprintf(&got, "%v at %v\n", v.Chain, v.Chain.Hook)
			for _, s := range v.Steps {
				kind := map[netfilter.StepKind]string{netfilter.RuleStep: "rule", netfilter.EndStep: "end", netfilter.PolicyStep: "policy"}[s.Kind]
				fmt.Fprintf(&got, "  %s %s %v mark %d\n", s.Chain, kind, s.Verdict, s.Mark)
			}
		}
		if got.String() != want {
			t.Errorf("steps\n%s\nwant\n%s", &got, want)
		}
		if f := p.Fate(); f.Outcome != netfilter.Passed || f.Hook != netfilter.Postrouting {
			t.Errorf("fate %v", f)
		}
		none(t, tr)
	}
}

// Packets that come faster than they are read are lost, and that is said.
func TestLossIsCounted(t *testing.T) {
	n := newNetwork(t)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	tr := n.startConfig(netfilter.Config{Matches: []netfilter.Match{f.match()}, Buffer: 16 << 10})
	for range 50 {
		f.send(t)
	}
	ctx := patience.Context(t)
	incomplete := false
	for !incomplete || tr.Lost() == 0 {
		p, err := tr.Next(ctx)
		if err != nil {
			t.Fatalf("%d events lost, and no packet is incomplete: %v", tr.Lost(), err)
		}
		incomplete = incomplete || p.Incomplete
	}
	// What comes after is whole.
	for {
		f.send(t)
		p, err := tr.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Incomplete && p.Fate().Outcome == netfilter.Passed {
			return
		}
	}
}

// With a rate, a busy flow is traced in part.
func TestRate(t *testing.T) {
	n := newNetwork(t)
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	m := f.match()
	m.Rate = 1
	tr := n.start(m)
	began := time.Now()
	for range 40 {
		f.send(t)
	}
	if _, err := tr.Next(patience.Context(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	traced := 1
	for {
		if _, err := tr.Next(ctx); err != nil {
			break
		}
		traced++
	}
	if most := 15 + int(time.Since(began).Seconds()); traced > most {
		t.Errorf("traced %d of 40 packets, want the burst of some", traced)
	}
}

// Errors about the flow come from elsewhere, and quote it.
func TestQuoted(t *testing.T) {
	n := newNetwork(t)
	for _, f := range []flow{
		{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}, // a closed port
		{"udp", n.a, "[fd00:1::2]:4000", "[fd00:2::2]:53"},
	} {
		m := f.match()
		m.Quoted = true
		tr := n.start(m)
		n.rules("table inet t { chain f { type filter hook forward priority 0; meta l4proto { icmp, ipv6-icmp } drop; } }")
		other := f
		other.src = strings.Replace(f.src, "4000", "4001", 1)
		other.send(t)
		f.send(t)
		p := n.next(tr)
		first := netip.MustParseAddrPort(f.dst)
		if p.First.Src != first.Addr() || p.First.ICMPType != 3 && p.First.ICMPType != 1 {
			t.Errorf("traced %+v, want an error of %v", p.First, first.Addr())
		}
		if p.Fate().Outcome != netfilter.Dropped {
			t.Errorf("%+v, want that it is dropped", p.Fate())
		}
		none(t, tr)
	}
}

// A packet that comes in fragments is followed past its reassembly.
func TestFragments(t *testing.T) {
	n := newNetwork(t)
	n.rules("table inet t { chain f { type filter hook forward priority 0; ct state new udp dport 53 drop; } }")
	f := flow{"udp", n.a, "10.0.1.2:4000", "10.0.2.2:53"}
	tr := n.start(f.match())
	c := n.a.ListenPacket("udp", f.src)
	if _, err := c.WriteTo(make([]byte, 4000), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(f.dst))); err != nil {
		t.Fatal(err)
	}
	p := n.next(tr)
	if f := p.Fate(); f.Outcome != netfilter.Dropped || f.Hook != netfilter.Forward || !p.First.Fragment {
		t.Errorf("%+v, want that forward drops it; came as %+v", f, p.First)
	}
}
