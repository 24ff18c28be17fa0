//go:build linux

package system

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

// These tests move hosts about under a tunnel that is in use.

// allThrough makes A's tunnel a full one.
func (s *site) allThrough() {
	s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllString(s.ConfA.Text, "AllowedIPs = 0.0.0.0/0, ::/0")
}

// serveHalves serves a body of size bytes at B's port 81. Having sent half of
// it, it closes half and waits for the rest to be closed.
func (s *site) serveHalves(size int) (half, rest chan struct{}) {
	s.T.Helper()
	half, rest = make(chan struct{}), make(chan struct{})
	l := s.B.Listen("tcp", strings.TrimSuffix(s.Web(), "80")+"81")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		send := func() { // a client that is gone shows in what it got
			_, _ = io.CopyN(w, zeros{}, int64(size/2))
			_ = http.NewResponseController(w).Flush()
		}
		send()
		close(half)
		select {
		case <-rest:
			send()
		case <-r.Context().Done():
		}
	})}
	go func() { _ = server.Serve(l) }() // ends with the lab's listener
	s.T.Cleanup(func() { _ = server.Close() })
	return half, rest
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// watched is what a node says in JSON of the events that match a filter.
func (s *site) watched(h *lab.Host, filter ...string) *lab.Proc {
	p := h.Start(append([]string{s.Wgnode, "watch", "wg0", "--json", "--past"}, filter...)...)
	return p
}

// A's uplink is unplugged in the middle of a download through a full tunnel, and
// another one, with another address and a smaller MTU, takes its place. While the
// download pauses nothing but A itself can tell H where it is now.
func TestRoaming(t *testing.T) {
	lab.Need(t, "curl", "ip", "nft")
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			const size = 32 << 20
			s := newSite(t, v6)
			s.Link(s.A.End("eth1", "10.9.3.2/24", "fd00:9:3::2/64"), s.R.End("lan2", "10.9.3.1/24", "fd00:9:3::1/64"))
			s.A.Run("ip", "link", "set", "eth1", "mtu", "1400")
			s.R.Run("ip", "link", "set", "lan2", "mtu", "1400")
			s.R.Run("nft", "add", "rule", "inet", "nat", "postrouting", "oifname", "wan", "iifname", "lan2", "masquerade")
			s.allThrough()
			s.Up(s.H, s.ConfH)
			s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
			s.A.Run(s.Wgnode, "up", "wg0", "--recorder", "1")
			half, rest := s.serveHalves(size)
			curl := s.A.Start("curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", "http://"+strings.TrimSuffix(s.Web(), "80")+"81")
			select {
			case <-half:
			case <-curl.Done():
				t.Fatalf("curl ended: %s", curl.Output())
			}
			network := s.watched(s.A, "network")
			moves := s.watched(s.H, "kind", "endpoint")

			s.A.Run("ip", "link", "set", "eth0", "down")
			network.WaitOutput(patience.Context(t), `"change":"link-down","old_link":"eth0"`)
			s.A.Run("ip", "route", "replace", "default", "via", "10.9.3.1")
			s.A.Run("ip", "-6", "route", "replace", "default", "via", "fd00:9:3::1")
			gateway := map[bool]string{false: "10.9.3.1", true: "fd00:9:3::1"}[v6]
			network.WaitOutput(patience.Context(t), `"change":"default-route","new":"`+gateway+`","new_link":"eth1"`)
			network.WaitOutput(patience.Context(t), `"new_link":"wg0","old_mtu":1420,"new_mtu":1320`)
			moves.WaitOutput(patience.Context(t), `"endpoint":{"old":"`)
			close(rest)
			if err := curl.Wait(); err != nil || curl.Output() != fmt.Sprint(size) {
				t.Errorf("%v, got %s bytes of %d", err, curl.Output(), size)
			}
			if out := s.A.Run("ip", "link", "show", "wg0"); !strings.Contains(out, "mtu 1320") {
				t.Errorf("the MTU: %s", out)
			}
			// What is rare is not pushed out by bulk data.
			s.watched(s.A, "network").WaitOutput(patience.Context(t), `"change":"default-route"`)
			if out := s.A.Run(s.Wgnode, "explain", "wg0", s.Web()); !strings.Contains(out, "healthy") {
				t.Errorf("explain:\n%s", out)
			}
		})
	}
}

// An MTU that the configuration gives, or that somebody has set, stays.
func TestRoamingLeavesMTU(t *testing.T) {
	lab.Need(t, "ip")
	t.Parallel()
	for name, set := range map[string]func(s *site){
		"configured": func(s *site) {
			s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nMTU = 1390\n")
			s.Up(s.A, s.ConfA)
		},
		"set by hand": func(s *site) {
			s.Up(s.A, s.ConfA)
			s.A.Run("ip", "link", "set", "wg0", "mtu", "1390")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, false)
			s.Link(s.A.End("eth1", "10.9.3.2/24"), s.R.End("lan2", "10.9.3.1/24"))
			s.A.Run("ip", "link", "set", "eth1", "mtu", "1400")
			set(s)
			network := s.watched(s.A, "network")
			network.WaitOutput(patience.Context(t), "") // it is served
			s.A.Run("ip", "route", "replace", "default", "via", "10.9.3.1")
			network.WaitOutput(patience.Context(t), `"new":"10.9.3.1","old_link":"eth0","new_link":"eth1"`)
			// The next change is told of after what the last one led to is done.
			s.A.Run("ip", "route", "replace", "default", "via", s.Addr.RLan.V4.Addr().String())
			network.WaitOutput(patience.Context(t), `"old":"10.9.3.1"`)
			if out := s.A.Run("ip", "link", "show", "wg0"); !strings.Contains(out, "mtu 1390") || strings.Contains(network.Output(), "wg0") {
				t.Errorf("the MTU: %s\n%s", out, network.Output())
			}
		})
	}
}

// The name of a hub gets another address. A full tunnel must not swallow the
// question, neither by its routes nor by its name server.
func TestHubMoves(t *testing.T) {
	lab.Need(t, "curl", "ip", "nft")
	t.Parallel()
	s := newSite(t, false)
	var zone lab.Zone
	zone.Set("hub.example", "203.0.113.2")
	dns := s.Addr.RWan.V4.Addr().String() // beyond A's own network
	s.R.ServeDNS(dns+":53", &zone)
	s.A.WriteFile("/etc/resolv.conf", "nameserver "+dns+"\n", 0o644)
	s.A.RunInput(`table inet count {
	chain output {
		type filter hook output priority filter
		udp dport 53 meta mark 51820 oifname "eth0" counter name marked
		udp dport 53 oifname "wg0" counter name swallowed
	}
	counter marked {}
	counter swallowed {}
}`, "nft", "-f", "-")
	s.allThrough()
	s.ConfA.Replace(t, "203.0.113.2:", "hub.example:")
	s.ConfA.Text += "PersistentKeepalive = 1\n"
	s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nDNS = 10.0.0.53\n")
	s.Up(s.H, s.ConfH)
	s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
	s.A.Run(s.Wgnode, "up", "wg0", "--stale-after", "2s", "--log", "/run/wgnode.log")
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Fatalf("curl printed %q", got)
	}

	if conf := s.A.ReadFile("/etc/resolv.conf"); !strings.Contains(conf, "nameserver 10.0.0.53\n") {
		t.Fatalf("the tunnel's name server is not in use:\n%s", conf)
	}

	watch := s.watched(s.A, "kind", "endpoint")
	s.H.Run("ip", "address", "add", "203.0.113.3/25", "dev", "wan")
	s.H.Run("ip", "address", "delete", "203.0.113.2/24", "dev", "wan")
	zone.Set("hub.example", "203.0.113.3")
	watch.WaitOutput(patience.Context(t), `"endpoint":{"old":"203.0.113.2:51820","new":"203.0.113.3:51820","set":true}`)
	if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
		t.Errorf("curl printed %q", got)
	}
	if log := s.A.ReadFile("/run/wgnode.log"); !strings.Contains(log, "name=hub.example:51820 old=203.0.113.2:51820 new=203.0.113.3:51820") {
		t.Errorf("the log:\n%s", log)
	}
	if out := s.A.Run("nft", "list", "counters"); !regexp.MustCompile(`counter marked \{\s+packets [1-9]`).MatchString(out) ||
		!regexp.MustCompile(`counter swallowed \{\s+packets 0 `).MatchString(out) {
		t.Errorf("the questions:\n%s", out)
	}
}

// Whatever leads packets into the tunnel, the questions for its endpoint's name stay
// outside: the tunnel cannot come up without the answer.
func TestLookUpStaysOutside(t *testing.T) {
	lab.Need(t, "bash", "curl", "ip")
	t.Parallel()
	for _, test := range []struct {
		name, allowed, more string
		v6                  bool
	}{
		{name: "halves", allowed: "0.0.0.0/1, 128.0.0.0/1"},
		{name: "halves of both", allowed: "0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1"},
		{name: "halves, IPv6", allowed: "::/1, 8000::/1, 0.0.0.0/0", v6: true},
		{name: "quarters with a mark", allowed: "0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/2, 192.0.0.0/2", more: "FwMark = 77\n"},
		{name: "default route and halves", allowed: "0.0.0.0/0, 0.0.0.0/1, 128.0.0.0/1, ::/0"},
		{name: "the server alone", allowed: "SERVER, NETWORK"},
		{name: "table", allowed: "0.0.0.0/0, ::/0",
			more: "Table = 400\nPostUp = ip rule add not to ENDPOINT table 400; ip -6 rule add not to ENDPOINT6 table 400\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, test.v6)
			server, endpoint := s.IP(s.Addr.RWan), s.IP(s.Addr.HWan)
			fill := strings.NewReplacer("SERVER", server, "NETWORK", s.Addr.B.V4.Masked().String(), "ENDPOINT6", s.Addr.HWan.V6.Addr().String(),
				"ENDPOINT", s.Addr.HWan.V4.Addr().String()).Replace
			s.A.Run("ip", "route", "add", endpoint, "via", s.IP(s.Addr.RLan)) // as who has halves must
			s.A.WriteFile("/etc/resolv.conf", "nameserver "+server+"\n", 0o644)
			zone := new(lab.Zone)
			s.R.ServeDNS(net.JoinHostPort(server, "53"), zone)
			s.Up(s.H, s.ConfH)
			s.ConfA.Text = regexp.MustCompile(`AllowedIPs = .*`).ReplaceAllLiteralString(s.ConfA.Text, "AllowedIPs = "+fill(test.allowed))
			s.ConfA.Replace(t, "Endpoint = "+net.JoinHostPort(endpoint, "51820"), "PersistentKeepalive = 5\nEndpoint = hub.example:51820")
			s.ConfA.Replace(t, "[Peer]", fill(test.more)+"[Peer]")
			s.A.WriteFile("/etc/wireguard/wg0.conf", s.ConfA.Text, 0o600)
			s.A.Run(s.Wgnode, "up", "wg0")
			zone.Set("hub.example", endpoint)
			moves := s.watched(s.A, "handshake")
			moves.WaitOutput(patience.Context(t), `"A3"`)
			if got := s.A.Run("curl", "-sS", "http://"+s.Web()); got != "hello" {
				t.Errorf("curl printed %q", got)
			}
			s.A.Run(s.Wgnode, "down", "wg0")
		})
	}
}
