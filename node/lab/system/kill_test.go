//go:build linux

package system

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/node/lab"
)

// killed are configurations for a node that is killed at any time: two have
// between them a step of each kind, one has many of one kind.
func killed() map[string]string {
	const begin = "[Interface]\nPrivateKey = KEY\nListenPort = 51821\nAddress = 10.0.0.1/24, fd0a::1/64\n"
	const peer = "[Peer]\nPublicKey = A\nEndpoint = 203.0.113.2:51820\nAllowedIPs = "
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, "10.7.%d.%d/32, ", i/256, i%256)
	}
	return map[string]string{
		"full tunnel": fillKeys(begin + "DNS = 10.0.0.53\nPreUp = true\nPostUp = true\n" + peer + "0.0.0.0/0, ::/0, 10.7.0.0/16\n"),
		"gateway": fillKeys(`[interface]
private_key = "KEY"
listen_port = 51821
address = ["10.0.0.1/24", "fd0a::1/64"]
kill_switch = true
kill_switch_lan = true
exclude = ["192.0.2.0/24", "2001:db8::/32"]
masquerade = ["eth0"]
[[interface.port_forward]]
protocol = "tcp"
port = 8080
to = "10.0.0.2:80"
[[peer]]
public_key = "A"
endpoint = "203.0.113.2:51820"
allowed_ips = ["0.0.0.0/0", "::/0", "10.7.0.0/16"]
`),
		"many routes": fillKeys(begin + "Table = 1000\n" + peer + many.String() + "fd07::/48\n"),
	}
}

// However far a node has come when it is killed, down leaves nothing of it.
func TestKilledAtRandom(t *testing.T) {
	lab.Need(t, "bash", "ip", "nft", "wg")
	t.Parallel()
	for name, conf := range killed() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newQuickHost(t)
			wgnode := lab.Wgnode(t)
			// With resolv.conf written, and not by a program that a kill would spare.
			h.script("mkdir /run/bin; ln -s $(command -v bash) /run/bin/")
			h.path = "/run/bin"
			h.WriteFile("/etc/resolv.conf", "nameserver 10.9.1.1\n", 0o644)
			path := "/etc/wireguard/wg0.conf"
			if strings.HasPrefix(conf, "[interface]") {
				path = "/etc/wireguard/wg0.toml"
			}
			h.WriteFile(path, conf, 0o600)
			state := func() string {
				return h.script(`
					for family in -4 -6; do ip $family address; ip $family route show table all; ip $family rule; done
					nft list ruleset; cat /proc/sys/net/ipv4/conf/all/src_valid_mark /etc/resolv.conf
					grep . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv?/conf/*/forwarding
					ls -A /etc /run/wgnode /run/wireguard 2>/dev/null || true`)
			}
			run := func() *lab.Proc {
				return h.StartEnv([]string{"PATH=" + h.path}, wgnode, "run", path)
			}
			up := func() time.Duration { // how long it takes to come up
				start := time.Now()
				p := run()
				h.Until("test -S /run/wgnode/wg0.sock")
				took := time.Since(start)
				p.Stop()
				return took
			}
			up() // makes the folders, which stay
			before := state()
			longest := max(up(), up(), up())
			for i := range 100 {
				after := rand.N(longest)
				p := run()
				time.Sleep(after)
				if err := p.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				<-p.Done()
				down, _, err := h.Try("env", "PATH="+h.path, wgnode, "down", "wg0")
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(before, state()); diff != "" {
					t.Fatalf("killed after %v, the %dth time, left behind:\n%s\nup:\n%s\ndown:\n%s", after, i+1, diff, p.Output(), down)
				}
			}
		})
	}
}
