//go:build linux

package system

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// toml writes A's configuration in wgnode's own format, with more keys of
// [interface], and tables that belong to it.
func (s *site) toml(allowed, keys, tables string) {
	s.T.Helper()
	s.A.WriteFile("/etc/wireguard/wg0.toml", fmt.Sprintf(`[interface]
private_key = "%s"
address = ["10.0.0.1/24", "fd0a::1/64"]
listen_port = 51821
%s
%s
[[peer]]
name = "gateway"
public_key = "%s"
endpoint = "%s"
allowed_ips = [%s]
`, s.Alice.Private, keys, tables, s.Gateway.Public, net.JoinHostPort(s.IP(s.Addr.HWan), "51820"), allowed), 0o600)
}

const (
	tomlPath = "/etc/wireguard/wg0.toml"
	fullIPs  = `"0.0.0.0/0", "::/0"`
)

// everything is all of a host that a node may change.
func everything(h *lab.Host) string {
	state := sitetest.HostState(h) + sitetest.Routing(h)
	for _, f := range []string{"ipv4", "ipv6"} {
		state += h.Run("sh", "-c", "cd /proc/sys/net/"+f+
			" && grep -r . ip_forward conf/*/forwarding conf/*/accept_ra conf/*/accept_redirects 2>/dev/null; true")
	}
	return state
}

// counted counts on R what comes from A, but for the tunnel's packets and what
// keeps an uplink alive.
func (s *site) countOnR() {
	s.T.Helper()
	s.R.RunInput(`table netdev leak {
	counter leaked { }
	chain in {
		type filter hook ingress device "lan" priority 0
		udp dport 51820 accept
		icmpv6 type { 131, 132, 133, 135, 136, 143 } accept
		meta protocol { ip, ip6 } counter name leaked
	}
}`, "nft", "-f", "-")
}

// leaked returns how many packets were counted since the last call.
func (s *site) leaked() int {
	s.T.Helper()
	out := s.R.Run("nft", "reset", "counter", "netdev", "leak", "leaked")
	n, err := strconv.Atoi(regexp.MustCompile(`packets (\d+)`).FindStringSubmatch(out)[1])
	if err != nil {
		s.T.Fatal(err)
	}
	return n
}

// chatter sends all the time what could leak: TCP, UDP and ICMP of both families,
// from a host to each of some addresses.
type chatter struct {
	host   *lab.Host
	to     []netip.Addr
	v4, v6 sockets
	round  chan struct{}
}

type sockets struct{ udp, icmp net.PacketConn }

// chat starts a chatter that ends with the test.
func chat(t *testing.T, h *lab.Host, to ...netip.Addr) *chatter {
	t.Helper()
	c := &chatter{host: h, to: to, round: make(chan struct{}),
		v4: sockets{h.ListenPacket("udp4", ":0"), h.ListenPacket("ip4:icmp", "0.0.0.0")},
		v6: sockets{h.ListenPacket("udp6", ":0"), h.ListenPacket("ip6:ipv6-icmp", "::")}}
	ctx, cancel := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	t.Cleanup(func() { cancel(); talking.Wait() })
	talking.Go(func() {
		for ctx.Err() == nil {
			for _, a := range to {
				c.send(a)
				talking.Go(func() { c.dial(ctx, a) })
			}
			select {
			case c.round <- struct{}{}:
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return c
}

// send and dial do not mind that nothing gets through: that is what it is about.
func (c *chatter) send(a netip.Addr) {
	s, echo := c.v4, byte(8)
	if a.Is6() {
		s, echo = c.v6, 128
	}
	_, _ = s.udp.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	_, _ = s.icmp.WriteTo([]byte{echo, 0, ^echo, 255, 0, 0, 0, 0}, &net.IPAddr{IP: a.AsSlice()})
}

func (c *chatter) dial(ctx context.Context, a netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if conn, err := c.host.Dial(ctx, "tcp", netip.AddrPortFrom(a, 9).String()); err == nil {
		_ = conn.Close()
	}
}

// more waits until all has been sent some more times.
func (c *chatter) more() {
	for range 5 {
		<-c.round
	}
}

// behindA is a host C that A forwards for.
func (s *site) behindA() *lab.Host {
	c := s.Host("c")
	s.Link(s.A.End("hot", "10.5.0.1/24", "fd05::1/64"), c.End("eth0", "10.5.0.2/24", "fd05::2/64"))
	c.Route("default", "10.5.0.1")
	c.Route("default", "fd05::1")
	s.A.Sysctl("net.ipv4.ip_forward", "1")
	s.A.Sysctl("net.ipv6.conf.all.forwarding", "1")
	return c
}

// noLeak wants that nothing got out since the last look.
func (s *site) noLeak(when string) {
	s.T.Helper()
	if n := s.leaked(); n > 0 {
		s.T.Errorf("%d packets leaked %s", n, when)
	}
}

// Nothing gets out but by the tunnel: not from A, not from C behind it, not on a
// connection that was there before, while the node is up, after it was killed,
// and until it is up again; in both families.
func TestKillSwitch(t *testing.T) {
	lab.Need(t, "nft", "ncat", "curl", "ip", "pgrep")
	t.Parallel()
	s := newSite(t, false)
	c := s.behindA()
	s.Up(s.H, s.ConfH)
	s.countOnR()
	s.toml(fullIPs, "kill_switch = true", "")
	before := everything(s.A)

	var to []netip.Addr
	for _, p := range []lab.Pair{s.Addr.HWan, s.Addr.RLan, s.Addr.B} {
		to = append(to, p.V4.Addr(), p.V6.Addr())
	}
	onA, onC := chat(t, s.A, to...), chat(t, c, to...)
	h := s.H.Listen("tcp", net.JoinHostPort(s.IP(s.Addr.HWan), "9000"))
	old := s.A.Start("sh", "-c", "while echo tick; do sleep 0.05; done | ncat "+s.IP(s.Addr.HWan)+" 9000")
	if _, err := h.Accept(); err != nil {
		t.Fatal(err)
	}
	all := func() {
		onA.more()
		onC.more()
	}
	all()
	if s.leaked() == 0 {
		t.Fatal("nothing is counted without a kill switch")
	}

	out := s.A.Run(s.Wgnode, "up", tomlPath, "--explain")
	if first := strings.SplitN(out, "\n", 2)[0]; !strings.HasPrefix(first, "[#] nft -f /dev/fd/63  # kill_switch: ") ||
		!strings.Contains(first, "the default routes via 10.9.1.1 dev eth0 and via fd00:9:1::1 dev eth0 are shut") {
		t.Errorf("up printed\n%s", out)
	}
	s.leaked() // of the time before
	all()
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	s.noLeak("while the node was up")

	s.Kill()
	all()
	s.noLeak("after the node was killed")
	s.toml(fullIPs, "kill_switch = true\npost_up = [\"false\"]", "")
	sitetest.Fails(t, s.A, 1, "the kill switch of wg0 still stands", s.Wgnode, "up", tomlPath)
	s.toml(fullIPs, "kill_switch = true", "")
	all()
	s.noLeak("after an up that failed")
	if out := s.A.Run(s.Wgnode, "up", tomlPath); !strings.Contains(out, "[!] its kill switch stands until") {
		t.Errorf("up printed\n%s", out)
	}
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("up again, curl printed %q", got)
	}
	s.noLeak("on the way up again")

	s.A.Run("ip", "link", "delete", "wg0") // nobody's way to take a node down
	s.A.Until("! pgrep -x wgnode >/dev/null")
	all()
	s.noLeak("after the interface was deleted")
	if out := s.A.Run(s.Wgnode, "recover"); !strings.Contains(out, "[#] nft delete table inet wgnode-killswitch-wg0\n") {
		t.Errorf("recover printed\n%s", out)
	}
	all()
	if s.leaked() == 0 {
		t.Error("nothing is counted after the kill switch")
	}
	old.Stop()
	s.A.Run("rm", "-f", "/run/wgnode/wg0.sock", "/run/wireguard/wg0.sock")
	sitetest.Same(t, "left", before, everything(s.A))
	if out := s.A.Run(s.Wgnode, "recover"); !strings.Contains(out, "nothing to undo") {
		t.Errorf("with nothing to do, recover printed\n%s", out)
	}
}

// A node that comes up behind the kill switch of a dead one finds its endpoint
// by name all the same, although nothing else on the host can ask.
func TestKillSwitchFindsEndpoint(t *testing.T) {
	lab.Need(t, "curl", "getent")
	t.Parallel()
	s := newSite(t, false)
	s.A.WriteFile("/etc/resolv.conf", sitetest.OriginalResolv, 0o644)
	s.ServeNames(s.R, "10.9.1.1:53", s.Addr.HWan.V4.Addr())
	s.Up(s.H, s.ConfH)
	s.toml(fullIPs, "kill_switch = true", "")
	s.A.WriteFile(tomlPath, strings.ReplaceAll(s.A.ReadFile(tomlPath), `"`+s.IP(s.Addr.HWan)+":", `"hub.example:`), 0o600)
	s.A.Run(s.Wgnode, "up", tomlPath)
	s.Kill()
	if out, status, err := s.A.Try("getent", "ahostsv4", "hub.example"); status == 0 || err != nil {
		t.Errorf("others can ask: %v\n%s", err, out)
	}
	if out := s.A.Run(s.Wgnode, "up", tomlPath); strings.Contains(out, "cannot resolve endpoint") {
		t.Errorf("up printed\n%s", out)
	}
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
}
