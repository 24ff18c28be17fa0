//go:build linux

package routing

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/patience"
)

// TestReversePath asks the kernel whether it would take the packet in, before the
// advice and after it was followed: what is said must be what happens.
func TestReversePath(t *testing.T) {
	for _, tc := range []struct {
		name     string
		do       []string
		settings map[string]string
		flow     Flow // to 192.168.178.48 by eth0, unless told otherwise
		drops    bool
		evidence string // part of it
		fix      string // the first command; must help
	}{
		{name: "the network itself", settings: map[string]string{"eth0.rp_filter": "1"},
			flow: Flow{Src: addr("192.168.178.1")}, evidence: "leads out of eth0"},
		{name: "the answer of the endpoint, its mark not used", settings: map[string]string{"all.rp_filter": "1"},
			flow: Flow{Src: addr("123.123.123.123"), Mark: 51820}, drops: true,
			evidence: "rp_filter drops packets from 123.123.123.123 that come in on eth0: the route back to 123.123.123.123 leads out of wg0",
			fix:      "sysctl -w net.ipv4.conf.all.src_valid_mark=1"},
		{name: "the answer of the endpoint", settings: map[string]string{"all.rp_filter": "1", "all.src_valid_mark": "1"},
			flow: Flow{Src: addr("123.123.123.123"), Mark: 51820}, evidence: "leads out of eth0"},
		{name: "a stranger, strict", settings: map[string]string{"eth0.rp_filter": "1"},
			flow: Flow{Src: addr("8.8.8.8")}, drops: true,
			evidence: "net.ipv4.conf.eth0.rp_filter = 1 (strict)", fix: "sysctl -w net.ipv4.conf.eth0.rp_filter=2"},
		{name: "the greater setting counts", settings: map[string]string{"all.rp_filter": "1", "eth0.rp_filter": "2"},
			flow: Flow{Src: addr("8.8.8.8")}, evidence: "rp_filter is loose on eth0: net.ipv4.conf.eth0.rp_filter = 2"},
		{name: "off", flow: Flow{Src: addr("8.8.8.8")}, evidence: "rp_filter is off on eth0"},
		{name: "no way back, loose", do: []string{"rule del pref 32765", "route del default"}, settings: map[string]string{"eth0.rp_filter": "2"},
			flow: Flow{Src: addr("8.8.8.8")}, drops: true, evidence: "there is no route back to 8.8.8.8", fix: "ip -4 route add 8.8.8.8 dev eth0"},
		{name: "own address", flow: Flow{Src: addr("10.0.0.1")}, drops: true,
			evidence: "the source 10.0.0.1 is this host's own address", fix: "sysctl -w net.ipv4.conf.eth0.accept_local=1"},
		{name: "multicast source", flow: Flow{Src: addr("224.0.0.9")}, drops: true, evidence: "is a multicast or broadcast address"},
		{name: "broadcast source", flow: Flow{Src: addr("192.168.178.255")}, drops: true, evidence: "is a broadcast address"},
		{name: "loopback source", flow: Flow{Src: addr("127.0.0.5")}, drops: true, evidence: "is a loopback address"},
		{name: "forwarded, by a rule for where it leaves", do: []string{"rule add pref 5 iif wg0 lookup 5",
			"route add default via 192.168.178.1 dev eth0 table 5"},
			settings: map[string]string{"eth0.rp_filter": "1", "all.forwarding": "1"},
			flow:     Flow{Src: addr("8.8.8.8"), Dst: addr("9.9.9.9")}, evidence: "leads out of eth0"},
		{name: "link without address", do: []string{"address flush dev eth0", "route add default dev eth0 metric 5"},
			settings: map[string]string{"eth0.rp_filter": "2"},
			flow:     Flow{Src: addr("8.8.8.8"), Dst: addr("10.0.0.1")}, drops: true, evidence: "eth0 has no IPv4 address",
			fix: "ip -4 route add 8.8.8.8 dev eth0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ownNamespace(t, slices.Concat(fullTunnel, tc.do)...)
			for name, value := range tc.settings {
				sysctl(t, "net.ipv4.conf."+name, value)
			}
			f := tc.flow
			f.IIF = "eth0"
			if !f.Dst.IsValid() {
				f.Dst = addr("192.168.178.48")
			}
			s := take(t)
			rp := s.reversePath(f)
			if text := strings.Join(rp.Evidence, "\n"); rp.Drops != tc.drops || !strings.Contains(text, tc.evidence) {
				t.Errorf("drops: %t, want %t\n%s\nwant: %s", rp.Drops, tc.drops, text, tc.evidence)
			}
			if got := entersKernel(t, s, f); got == tc.drops {
				t.Errorf("the kernel takes it in: %t", got)
			}
			if tc.fix == "" {
				return
			}
			if len(rp.Fix) == 0 || rp.Fix[0] != tc.fix {
				t.Fatalf("fix %q, want %q", rp.Fix, tc.fix)
			}
			follow(t, tc.fix)
			if !entersKernel(t, take(t), f) {
				t.Errorf("%s does not help", tc.fix)
			}
		})
	}
}

// entersKernel asks the kernel whether it would take a packet in.
func entersKernel(t *testing.T, s *Snapshot, f Flow) bool {
	t.Helper()
	sock, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer sock.close()
	a, err := s.ask(sock, f)
	if err != nil {
		t.Fatal(err)
	}
	return a.errno == 0
}

// follow does what a user would who believes the advice.
func follow(t *testing.T, command string) {
	t.Helper()
	if setting, ok := strings.CutPrefix(command, "sysctl -w "); ok {
		name, value, _ := strings.Cut(setting, "=")
		sysctl(t, name, value)
		return
	}
	args := strings.Fields(command)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

func TestReversePathIPv6(t *testing.T) {
	s := &Snapshot{links: map[int]*Link{2: {Index: 2, Name: "eth0"}}}
	rp := s.reversePath(Flow{Src: addr("2001:db8::1"), Dst: addr("fd00::1"), IIF: "eth0"})
	if rp.Drops || rp.Evidence[0] != "IPv6 has no rp_filter" {
		t.Errorf("%+v", rp)
	}
	if rp := s.reversePath(Flow{Src: addr("::1"), Dst: addr("fd00::1"), IIF: "eth0"}); !rp.Drops {
		t.Errorf("%+v", rp)
	}
}

func TestForwarding(t *testing.T) {
	ownNamespace(t, "link add eth0.5 type veth peer name far")
	for _, ipv6 := range []bool{false, true} {
		f := take(t).Forwarding(ipv6, "eth0.5")
		if f.On || len(f.Fix) != 1 {
			t.Fatalf("%+v", f)
		}
		follow(t, f.Fix[0])
		if f := take(t).Forwarding(ipv6, "eth0.5"); !f.On || f.Fix != nil {
			t.Errorf("after the advice: %+v", f)
		}
	}
	const want = "forwarding of IPv4 packets from eth0.5 is on: net.ipv4.conf.eth0/5.forwarding = 1, net.ipv4.ip_forward = 1"
	if f := take(t).Forwarding(false, "eth0.5"); f.Evidence != want {
		t.Errorf("got %s\nwant %s", f.Evidence, want)
	}

	if err := os.WriteFile("/proc/sys/net/ipv4/conf/eth0.5/forwarding", []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := take(t).Forwarding(false, "eth0.5")
	if f.On || len(f.Fix) != 1 || f.Fix[0] != "sysctl -w net.ipv4.conf.eth0/5.forwarding=1" {
		t.Errorf("off for the link: %+v", f)
	}

	sysctl(t, "net.ipv6.conf.all.forwarding", "0")
	if f := take(t).Forwarding(true, "eth0.5"); f.On {
		t.Errorf("off for all: %+v", f)
	}
	err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0.5/force_forwarding", []byte("1"), 0o644)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("force_forwarding needs Linux 6.17")
	}
	if f := take(t).Forwarding(true, "eth0.5"); err != nil || !f.On {
		t.Errorf("forced: %+v, %v", f, err)
	}
	if f := take(t).Forwarding(true, "far"); f.On || len(f.Fix) != 1 || f.Fix[0] != "sysctl -w net.ipv6.conf.far.force_forwarding=1" {
		t.Errorf("forced for another link: %+v", f)
	}
}

func TestNextHop(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{
		"tuntap add tun0 mode tun", "link set tun0 up", "route add 10.7.0.0/16 dev tun0",
		"neigh add 192.168.178.1 dev eth0 lladdr 02:00:00:00:00:01 nud permanent",
	})...)
	hop := func(dst string) nextHop {
		t.Helper()
		w := verified(t, take(t), Flow{Dst: addr(dst), Mark: 51820})
		return take(t).nextHop(w.Flow.Dst, w.Decision.Hops[0])
	}
	for _, tc := range []struct{ dst, evidence string }{
		{"9.9.9.9", "ip -4 neigh show 192.168.178.1 dev eth0: 192.168.178.1 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT"},
		{"192.168.178.7", "ip -4 neigh show 192.168.178.7 dev eth0: no entry"},
		{"10.7.0.1", "tun0 accepts every packet: no neighbor is asked for"},
	} {
		if n := hop(tc.dst); n.String() != tc.evidence || n.unreachable() {
			t.Errorf("%s: %s, unreachable %t\nwant %s", tc.dst, n.String(), n.unreachable(), tc.evidence)
		}
	}

	// Nobody has the address: the kernel asks in vain.
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(192, 168, 178, 48)}}
	c, err := d.Dial("udp4", "192.168.178.7:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	patience.See(t, "the kernel to have asked in vain", func() (string, bool) {
		n := hop("192.168.178.7")
		if n.known.State != 0 && !n.unreachable() {
			t.Fatalf("asked in vain: %s", n.String())
		}
		return n.String(), n.unreachable() && strings.HasSuffix(n.String(), "FAILED")
	})
}

func TestAddrType(t *testing.T) {
	ownNamespace(t, slices.Concat(fullTunnel, []string{"-6 address add fd00::1/64 dev eth0 nodad"})...)
	settle(t, "eth0")
	s := take(t)
	for a, want := range map[string]Type{
		"10.0.0.1": TypeLocal, "127.8.8.8": TypeLocal, "10.0.0.255": TypeBroadcast, "255.255.255.255": TypeBroadcast,
		"224.0.0.1": TypeMulticast, "9.9.9.9": TypeUnicast, "10.0.0.2": TypeUnicast, "::ffff:10.0.0.1": TypeLocal,
		"fd00::1": TypeLocal, "fd00::2": TypeUnicast, "ff02::1": TypeMulticast, "::1": TypeLocal,
	} {
		got, r := s.AddrType(addr(a))
		if got != want {
			t.Errorf("%s is %s, want %s", a, got, want)
		}
		if got == TypeLocal && r == nil {
			t.Errorf("%s: no route says so", a)
		}
	}
}
