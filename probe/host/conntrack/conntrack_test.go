//go:build linux

package conntrack_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/host/conntrack"
	"github.com/wgnode/wgnode/probe/patience"
)

// network is A, B, and between them R, which tracks and translates.
type network struct {
	t       *testing.T
	a, r, b *lab.Host
}

func newNetwork(t *testing.T, rules string) *network {
	lab.Need(t, "nft", "conntrack")
	l := lab.New(t)
	n := &network{t: t, a: l.Host("a"), r: l.Host("r"), b: l.Host("b")}
	l.Link(n.a.End("eth0", "10.0.1.2/24", "fd00:1::2/64"), n.r.End("a", "10.0.1.1/24", "fd00:1::1/64"))
	l.Link(n.b.End("eth0", "10.0.2.2/24", "fd00:2::2/64"), n.r.End("b", "10.0.2.1/24", "fd00:2::1/64"))
	n.a.Route("default", "10.0.1.1")
	n.a.Route("default", "fd00:1::1")
	n.b.Route("fd00:1::/64", "fd00:2::1")
	n.r.Sysctl("net.ipv4.ip_forward", "1")
	n.r.Sysctl("net.ipv6.conf.all.forwarding", "1")
	n.r.Sysctl("net.netfilter.nf_conntrack_acct", "1")
	n.r.RunInput(rules, "nft", "-f", "-")
	return n
}

const translate = `table inet t {
	chain pre {
		type nat hook prerouting priority dstnat
		udp dport 8053 dnat ip to 10.0.2.2:53
	}
	chain post {
		type nat hook postrouting priority srcnat
		oifname "b" meta nfproto ipv4 masquerade
	}
	chain forward {
		type filter hook forward priority 0
		ct state new ct mark set 0x2a
	}
}
`

func (n *network) get(tuple conntrack.Tuple) (conntrack.Entry, error) {
	var e conntrack.Entry
	err := n.r.Do(func() (err error) {
		e, err = conntrack.Get(tuple, 0)
		return err
	})
	return e, err
}

// await waits until the table of a zone has an entry of the flow.
func (n *network) await(flow conntrack.Tuple, zone uint16) {
	n.t.Helper()
	patience.Until(n.t, fmt.Sprintf("an entry of %v in zone %d", flow, zone), func() bool {
		return n.r.Do(func() error {
			_, err := conntrack.Get(flow, zone)
			return err
		}) == nil
	})
}

func tuple(proto uint8, src, dst string) conntrack.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return conntrack.Tuple{Src: s.Addr(), Dst: d.Addr(), Proto: proto, SrcPort: s.Port(), DstPort: d.Port()}
}

// The whole life of a flow that is translated at both ends.
func TestTranslated(t *testing.T) {
	n := newNetwork(t, translate)
	flow := tuple(unix.IPPROTO_UDP, "10.0.1.2:4000", "10.0.1.1:8053")
	if e, err := n.get(flow); !errors.Is(err, conntrack.ErrNotFound) {
		t.Errorf("before: %v, %v", e, err)
	}
	server := n.b.ListenPacket("udp", "10.0.2.2:53")
	client := n.a.ListenPacket("udp", "10.0.1.2:4000")
	if _, err := client.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(10, 0, 1, 1), Port: 8053}); err != nil {
		t.Fatal(err)
	}
	n.await(flow, 0)
	e, err := n.get(flow)
	if err != nil {
		t.Fatal(err)
	}
	if e.ID == 0 {
		t.Error("the entry has no ID")
	}
	const translated = "SNAT to 10.0.2.1:4000, DNAT to 10.0.2.2:53, mark 0x2a"
	if got, want := e.String(), "udp 10.0.1.2:4000 > 10.0.1.1:8053: unreplied, "+translated; got != want {
		t.Errorf("entry %q, want %q", got, want)
	}
	if e.Status&(conntrack.SrcNAT|conntrack.DstNAT) != conntrack.SrcNAT|conntrack.DstNAT || e.Timeout <= 0 {
		t.Errorf("status 0x%x, timeout %v", e.Status, e.Timeout)
	}
	// With IP and UDP header.
	if want := (conntrack.Count{Packets: 1, Bytes: 33}); e.Sent != want || e.Received != (conntrack.Count{}) {
		t.Errorf("sent %+v, received %+v", e.Sent, e.Received)
	}

	var b [100]byte
	_, from, err := server.ReadFrom(b[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.WriteTo([]byte("there"), from); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.ReadFrom(b[:]); err != nil {
		t.Fatal(err)
	}
	// By the reply's tuple, and by looking through all.
	for _, find := range []func() (conntrack.Entry, error){
		func() (conntrack.Entry, error) { return n.get(e.Reply) },
		func() (found conntrack.Entry, err error) {
			err = n.r.Do(func() (err error) {
				found, err = conntrack.Find(func(c conntrack.Entry) bool { return c.Original == flow })
				return err
			})
			return found, err
		},
	} {
		got, err := find()
		if err != nil || got.ID != e.ID || got.Words() != "replied, "+translated || got.Received.Packets != 1 {
			t.Errorf("answered: %v %+v, %v", got, got, err)
		}
	}

	n.r.Run("conntrack", "-F")
	if e, err := n.get(flow); !errors.Is(err, conntrack.ErrNotFound) {
		t.Errorf("afterwards: %v, %v", e, err)
	}
}

func TestTCP(t *testing.T) {
	n := newNetwork(t, translate)
	l := n.b.Listen("tcp", "[fd00:2::2]:80")
	c, err := n.a.Dial(t.Context(), "tcp", "[fd00:2::2]:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := n.get(tuple(unix.IPPROTO_TCP, c.LocalAddr().String(), c.RemoteAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Words(), "replied, tcp established, mark 0x2a"; got != want {
		t.Errorf("entry %q, want %q", got, want)
	}
}

func TestICMP(t *testing.T) {
	n := newNetwork(t, translate)
	err := n.a.Do(func() error {
		c, err := icmp.ListenPacket("ip6:ipv6-icmp", "fd00:1::2")
		if err != nil {
			return err
		}
		defer c.Close()
		b, err := (&icmp.Message{Type: ipv6.ICMPTypeEchoRequest, Body: &icmp.Echo{ID: 77, Seq: 1}}).Marshal(nil)
		if err != nil {
			return err
		}
		_, err = c.WriteTo(b, &net.IPAddr{IP: net.ParseIP("fd00:2::99")}) // nobody
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	flow := conntrack.Tuple{Src: netip.MustParseAddr("fd00:1::2"), Dst: netip.MustParseAddr("fd00:2::99"),
		Proto: unix.IPPROTO_ICMPV6, ICMPType: 128, ICMPID: 77}
	n.await(flow, 0)
	e, err := n.get(flow)
	if want := "icmpv6 fd00:1::2 > fd00:2::99 id 77: unreplied, mark 0x2a"; err != nil || e.String() != want {
		t.Errorf("entry %q, %v; want %q", e, err, want)
	}
}

// A zone has entries of its own.
func TestZone(t *testing.T) {
	n := newNetwork(t, `table inet t {
		chain pre {
			type filter hook prerouting priority raw
			udp dport 53 ct zone set 5
		}
		chain forward {
			type filter hook forward priority 0
			ct state invalid drop
		}
	}
	`)
	flow := tuple(unix.IPPROTO_UDP, "10.0.1.2:4000", "10.0.2.2:53")
	client := n.a.ListenPacket("udp", "10.0.1.2:4000")
	if _, err := client.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(10, 0, 2, 2), Port: 53}); err != nil {
		t.Fatal(err)
	}
	n.await(flow, 5)
	if e, err := n.get(flow); !errors.Is(err, conntrack.ErrNotFound) {
		t.Errorf("in zone 0: %v, %v", e, err)
	}
	err := n.r.Do(func() error {
		e, err := conntrack.Get(flow, 5)
		if err == nil && (e.Zone != 5 || !e.Unreplied()) {
			t.Errorf("entry %v", e)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Without the privilege it is said what is missing.
func TestUnavailable(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	if err := conntrack.Available(); err != nil {
		t.Fatal(err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil { // of this thread, which ends with the test
		t.Fatal(err)
	}
	_, getErr := conntrack.Get(tuple(unix.IPPROTO_UDP, "10.0.0.1:1", "10.0.0.2:2"), 0)
	for _, err := range []error{conntrack.Available(), getErr} {
		if err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("without privileges: %v", err)
		}
	}
}
