//go:build linux

package routing

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// world makes up rules, routes and packets.
type world struct {
	*rand.Rand
	ipv6 bool
}

var worldLinks = []string{"d0", "d1", "d2", "far"}

// pick returns one of the words.
func (w world) pick(words ...string) string { return words[w.IntN(len(words))] }

// some returns one of the words in one of n cases, else "".
func (w world) some(n int, words ...string) string {
	if w.IntN(n) != 0 {
		return ""
	}
	return w.pick(words...)
}

// dst is one of few addresses, that routes often meet.
func (w world) dst() netip.Addr {
	if w.ipv6 {
		return addr(fmt.Sprintf("fd00:%d:%d::%d", w.IntN(3), w.IntN(3), 20+w.IntN(3)))
	}
	return addr(fmt.Sprintf("10.%d.%d.%d", w.IntN(3), w.IntN(3), 20+w.IntN(3)))
}

func (w world) prefix() string {
	lengths := []int{0, 7, 8, 15, 16, 24, 32}
	if w.ipv6 {
		lengths = []int{0, 15, 16, 31, 32, 48, 128}
	}
	p, err := w.dst().Prefix(lengths[w.IntN(len(lengths))])
	if err != nil {
		panic(err)
	}
	return p.String()
}

// local is an address of a link.
func (w world) local() string {
	if w.ipv6 {
		return fmt.Sprintf("fd00:ff:%d::1", w.IntN(3))
	}
	return fmt.Sprintf("10.255.%d.1", w.IntN(3))
}

// way leads out of a link.
func (w world) way() string {
	n := w.IntN(3)
	via := ""
	if w.IntN(2) == 0 {
		via = fmt.Sprintf("via 10.255.%d.%d ", n, 2+w.IntN(3))
		if w.ipv6 {
			via = fmt.Sprintf("via fd00:ff:%d::%d ", n, 2+w.IntN(3))
		} else if w.IntN(4) == 0 {
			via = fmt.Sprintf("via inet6 fd00:ff:%d::%d ", n, 2+w.IntN(3))
		}
	}
	if w.IntN(6) == 0 {
		return "dev far"
	}
	return fmt.Sprintf("%sdev d%d", via, n)
}

func (w world) table() string { return w.pick("main", "default", "100", "101", "102", "103") }

func (w world) route() string {
	words := []string{"route", w.pick("add", "append")}
	kind := w.some(3, "blackhole", "unreachable", "prohibit", "throw")
	words = append(words, kind, w.prefix())
	if !w.ipv6 {
		words = append(words, w.some(8, "tos 0x10", "tos 0x08"))
	} else {
		words = append(words, w.some(8, "from fd00:ff::/32", "from fd00:ff:1::/48", "from fd00:ff:1::1"))
	}
	words = append(words, "table", w.table(), w.some(2, "metric 10", "metric 20", "metric 30"))
	switch {
	case kind != "":
	case w.IntN(6) == 0:
		words = append(words, "nexthop", w.way(), "weight 1 nexthop", w.way(), "weight 3")
	default:
		words = append(words, w.way(), w.some(6, "mtu 1300"))
		if w.ipv6 {
			words = append(words, w.some(3, "pref high", "pref low"))
		}
	}
	return strings.Join(words, " ")
}

func (w world) rule(priority int) string {
	words := []string{"rule add", "pref", fmt.Sprint(priority), w.some(4, "not")}
	if w.IntN(5) == 0 {
		words = append(words, "to", w.prefix())
	}
	if w.IntN(5) == 0 {
		words = append(words, "from", w.pick(w.local(), w.prefix()))
	}
	words = append(words, w.some(3, "fwmark 0x1", "fwmark 0x2", "fwmark 0x3/0x1", "fwmark 0x10/0xf0", "fwmark 0xca6c"),
		w.some(6, "iif lo", "iif d0", "iif d1", "iif gone"),
		w.some(10, "oif d0", "oif d1"),
		w.some(8, "uidrange 0-0", "uidrange 1000-2000"),
		w.some(12, "tos 0x10"))
	if w.IntN(6) == 0 {
		words = append(words, w.pick("ipproto tcp", "ipproto udp"),
			w.some(2, "sport 1000", "sport 1000-2000"), w.some(2, "dport 80", "dport 53-100"))
	}
	switch w.IntN(10) {
	case 0:
		words = append(words, "goto", fmt.Sprint(priority+10*(1+w.IntN(4))))
	case 1:
		words = append(words, w.pick("blackhole", "unreachable", "prohibit", "nop"))
	default:
		words = append(words, "lookup", w.table(),
			w.some(4, "suppress_prefixlength 0", "suppress_prefixlength 15", "suppress_prefixlength 16"),
			w.some(8, "suppress_ifgroup 7"))
	}
	return strings.Join(words, " ")
}

func (w world) flow() Flow {
	f := Flow{Dst: w.dst(), Mark: []uint32{0, 0, 1, 2, 3, 0x10, 0xca6c}[w.IntN(7)], UID: []uint32{0, 0, 1000, 3000}[w.IntN(4)]}
	if w.IntN(8) == 0 {
		f.Dst = addr(w.local())
	}
	if w.IntN(3) != 0 {
		f.Proto = []uint8{6, 17}[w.IntN(2)]
		f.SPort, f.DPort = []uint16{999, 1000, 1500}[w.IntN(3)], []uint16{53, 80, 443}[w.IntN(3)]
	}
	f.TOS = []uint8{0, 0, 0, 0x10, 0x08, 0xb0}[w.IntN(6)]
	switch w.IntN(6) {
	case 0, 1: // forwarded
		f.IIF, f.Src = w.pick(worldLinks...), w.dst()
	case 2:
		f.OIF = w.pick(worldLinks...)
		fallthrough
	case 3:
		f.Src = addr(w.local())
	case 4:
		f.OIF = w.some(3, worldLinks...)
	}
	return f
}

// TestAgainstKernel compares decisions with the kernel's for made-up rules, tables
// and packets. A difference is a fault of this package, whatever its cause.
func TestAgainstKernel(t *testing.T) {
	const rounds, flows = 20, 300
	ownNamespace(t,
		"link add far type veth peer name near", "link set far up", // near is down: no carrier
		"link add d0 type veth peer name p0", "link add d1 type veth peer name p1", "link add d2 type veth peer name p2",
		"link set d2 group 7", "address add 10.255.9.1/24 dev far")
	for i := range 3 {
		ip(t, fmt.Sprintf("link set p%d up", i), fmt.Sprintf("link set d%d up", i),
			fmt.Sprintf("address add 10.255.%d.1/24 dev d%d", i, i),
			fmt.Sprintf("-6 address add fd00:ff:%d::1/64 dev d%d nodad", i, i))
	}
	settle(t, "d0", "d1", "d2")

	outcomes, types := make(map[Outcome]int), make(map[Type]int)
	refused, unexplained := 0, 0
	for round := range uint64(rounds) {
		for _, ipv6 := range []bool{false, true} {
			w := world{rand.New(rand.NewPCG(round, 1)), ipv6}
			w.build(t)
			s := take(t)
			for range flows {
				f := w.flow()
				walk := s.Walk(f)
				if err := s.Verify(&walk); err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				for _, step := range walk.Steps {
					outcomes[step.Outcome]++
				}
				types[walk.Decision.Type]++
				if walk.Refused != "" {
					refused++
				}
				if walk.Unexplained != "" {
					unexplained++
				}
				if bad := contradicts(s, &walk); bad != "" {
					again := s.Walk(f)
					t.Fatalf("%s, round %d: %s\n%s", familyName(ipv6), round, bad, strings.Join(account(&again), "\n"))
				}
			}
		}
	}
	t.Logf("outcomes of rules %v, decisions %v, %d not to be asked about, %d doubted and wrong", outcomes, types, refused, unexplained)
	for o := notMatched; o <= decided; o++ {
		if outcomes[o] == 0 {
			t.Errorf("no rule had outcome %d", o)
		}
	}
	for _, typ := range []Type{TypeNone, TypeUnicast, TypeLocal, TypeBlackhole, TypeUnreachable, TypeProhibit} {
		if types[typ] == 0 {
			t.Errorf("no packet met %s", typ)
		}
	}
	if unexplained > rounds*flows/1000 {
		t.Errorf("%d decisions were doubted and wrong", unexplained)
	}
	if refused > 2*rounds*flows/3 {
		t.Errorf("%d packets could not be asked about", refused)
	}
}

// contradicts returns in what the kernel's answer contradicts this package.
func contradicts(s *Snapshot, w *Walk) string {
	if w.Unexplained != "" && w.Doubt == "" || w.Verified && w.Doubt != "" {
		return w.Unexplained + w.Doubt
	}
	f := w.Flow
	if f.IIF == "" || f.Dst.Is6() || !w.Verified || w.Decision.Type.Rejects() {
		return ""
	}
	// The kernel has checked the source, and lets the packet in.
	if rp := s.reversePath(f); rp.Drops {
		lines := rp.Evidence
		if rp.Back != nil {
			lines = append(lines, account(rp.Back)...)
		}
		return "the kernel does not drop it:\n" + strings.Join(lines, "\n") + "\n"
	}
	if fw := s.Forwarding(false, f.IIF); !fw.On && w.Decision.Type == TypeUnicast {
		return "the kernel does forward it: " + fw.Evidence
	}
	return ""
}

// build makes the world up, in place of the one before.
func (w world) build(t *testing.T) {
	sysctl(t, "net.ipv6.conf.all.forwarding", w.pick("0", "1", "1"))
	sysctl(t, "net.ipv4.ip_forward", w.pick("0", "1", "1", "1"))
	for _, v := range []string{"ipv4", "ipv6"} {
		sysctl(t, "net."+v+".conf.far.ignore_routes_with_linkdown", w.pick("0", "1"))
	}
	for _, l := range append([]string{"all"}, worldLinks...) {
		sysctl(t, "net.ipv4.conf."+l+".rp_filter", w.pick("0", "0", "0", "0", "1", "2"))
		sysctl(t, "net.ipv4.conf."+l+".src_valid_mark", w.pick("0", "1"))
		sysctl(t, "net.ipv4.conf."+l+".accept_local", w.pick("0", "0", "0", "1"))
	}
	lines := []string{"rule flush", "rule add pref 32766 lookup main", "rule add pref 32767 lookup default", "route flush proto boot"}
	for _, table := range []string{"default", "100", "101", "102", "103"} {
		lines = append(lines, "route flush table "+table)
	}
	family := "-4"
	if w.ipv6 {
		family = "-6"
		nud := w.pick("failed", "stale") // gateways that do not answer, or do
		lines = append(lines, "neigh replace fd00:ff:0::2 dev d0 lladdr 02:00:00:00:00:01 nud "+nud,
			"neigh replace fd00:ff:1::3 dev d1 lladdr 02:00:00:00:00:01 nud "+nud)
	}
	for range 25 {
		lines = append(lines, w.route())
	}
	for i := range 1 + w.IntN(12) {
		lines = append(lines, w.rule(100+10*i))
	}
	if w.IntN(3) == 0 {
		lines = append(lines, "rule del pref 32766")
	}
	// Made-up commands may be some that the kernel refuses, such as a second route
	// of the same metric. The others count.
	cmd := exec.Command("ip", family, "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "garbage") {
		t.Fatalf("ip: %s", out)
	}
	if os.Getenv("SHOW") != "" {
		t.Logf("%s", out)
	}
}

func TestTakeLink(t *testing.T) {
	ownNamespace(t, "link add d0 mtu 1400 type veth peer name d1", "addr add 192.0.2.1/24 dev d0",
		"addr add 192.0.2.2 peer 198.51.100.1 dev d0", "link set d1 up")
	l, err := TakeLink("d0")
	if err != nil || l == nil {
		t.Fatalf("%v, %v", l, err)
	}
	var addrs []netip.Addr
	for _, a := range l.Addrs {
		addrs = append(addrs, a.Prefix.Addr())
	}
	if l.Up || l.MTU != 1400 || !slices.Equal(addrs, []netip.Addr{addr("192.0.2.1"), addr("192.0.2.2")}) {
		t.Errorf("%+v", l)
	}
	if l, err := TakeLink("d1"); err != nil || !l.Up {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := TakeLink("d2"); err != nil || l != nil {
		t.Errorf("%+v, %v", l, err)
	}
}
