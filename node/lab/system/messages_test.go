//go:build linux

package system

import (
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// messages lists what is said of what keeps a tunnel from coming up or going down.
// K is a private key, P and Q are public ones.
var messages = []struct {
	name    string
	prepare string // commands of a shell, as root
	conf    string // of wg0; "" for none
	command string // "" is `wgnode up wg0`
	says    string // a line of the output
	hint    string // the line after it; "" if there is none
	status  int
}{
	{
		name: "the route of this host's own network",
		conf: "[Interface]\nPrivateKey=K\n[Peer]\nPublicKey=P\nAllowedIPs=192.168.77.0/24\n",
		says: "wgnode: add route 192.168.77.0/24 dev wg0: the route already exists (dev lan0 proto kernel)",
		hint: "lan0 is in the network 192.168.77.0/24 itself: take it out of AllowedIPs; for hosts behind the tunnel put their addresses " +
			"there, such as 192.168.77.1/32",
		status: 1,
	},
	{
		name:    "the route of another tunnel",
		prepare: "wgnode up wg1",
		conf:    "[Interface]\nPrivateKey=K\n[Peer]\nPublicKey=P\nAllowedIPs=10.99.0.0/16\n",
		says:    "wgnode: add route 10.99.0.0/16 dev wg0: the route already exists (dev wg1 proto boot)",
		hint:    "the tunnel wg1 has it: take 10.99.0.0/16 out of AllowedIPs of one of the two, or: wgnode down wg1",
		status:  1,
	},
	{
		name:    "the mark of another tunnel",
		prepare: "wgnode up full1",
		conf:    "[Interface]\nPrivateKey=K\nFwMark=77\n[Peer]\nPublicKey=P\nAllowedIPs=0.0.0.0/0\n",
		says:    "wgnode: add route 0.0.0.0/0 dev wg0 table 77: the route already exists (dev full1 proto boot)",
		hint:    "full1 has its default route in that table, too: leave FwMark and Table out of one of the two files",
		status:  1,
	},
	{
		name:    "somebody's own route",
		prepare: "ip route add 10.50.0.0/16 via 192.168.77.1",
		conf:    "[Interface]\nPrivateKey=K\n[Peer]\nPublicKey=P\nAllowedIPs=10.50.0.0/16\n",
		says:    "wgnode: add route 10.50.0.0/16 dev wg0: the route already exists (via 192.168.77.1 dev lan0 proto boot)",
		hint:    "take 10.50.0.0/16 out of AllowedIPs, or set Table = off and add the routes in PostUp",
		status:  1,
	},
	{
		name:    "somebody's own route, before anything is tried",
		prepare: "ip route add 10.50.0.0/16 via 192.168.77.1",
		conf:    "[Interface]\nPrivateKey=K\n[Peer]\nPublicKey=P\nAllowedIPs=10.50.0.0/16\n",
		command: "wgnode up wg0 --dry-run",
		says:    "wgnode: add route 10.50.0.0/16 dev wg0: the route already exists (via 192.168.77.1 dev lan0 proto boot)",
		hint:    "take 10.50.0.0/16 out of AllowedIPs, or set Table = off and add the routes in PostUp",
		status:  1,
	},
	{
		name:    "a route that a PreUp may take away",
		prepare: "ip route add 10.50.0.0/16 via 192.168.77.1",
		conf:    "[Interface]\nPrivateKey=K\nPreUp=ip route del 10.50.0.0/16\n[Peer]\nPublicKey=P\nAllowedIPs=10.50.0.0/16\n",
		command: "wgnode up wg0 --dry-run",
		says: "[!] unless a PreUp changes that: add route 10.50.0.0/16 dev wg0: the route already exists " +
			"(via 192.168.77.1 dev lan0 proto boot)",
		status: 0,
	},
	{
		name:   "an MTU too small for IPv6",
		conf:   "[Interface]\nPrivateKey=K\nMTU=1200\nAddress=fd66::1/128\n[Peer]\nPublicKey=P\nAllowedIPs=fd66::/64\n",
		says:   "wgnode: MTU 1200 is too small for the route to fd66::/64: IPv6 needs 1280 (it is the MTU that the configuration gives)",
		hint:   "set MTU to 1280, or take the IPv6 addresses out of Address and AllowedIPs",
		status: 1,
	},
	{
		name:    "an MTU too small for IPv6, before anything is tried",
		conf:    "[Interface]\nPrivateKey=K\nMTU=1200\nAddress=fd66::1/128\n[Peer]\nPublicKey=P\nAllowedIPs=fd66::/64\n",
		command: "wgnode up wg0 --dry-run",
		says:    "wgnode: MTU 1200 is too small for the route to fd66::/64: IPv6 needs 1280 (it is the MTU that the configuration gives)",
		hint:    "set MTU to 1280, or take the IPv6 addresses out of Address and AllowedIPs",
		status:  1,
	},
	{
		name:   "an MTU too small for an address alone",
		conf:   "[Interface]\nPrivateKey=K\nMTU=1200\nAddress=fd66::1/64\n",
		says:   "[!] MTU 1200 is too small for Address fd66::1/64: IPv6 needs 1280, and the kernel removes the address",
		status: 0,
	},
	{
		name:    "the port of another tunnel",
		prepare: "wgnode up wg1",
		conf:    "[Interface]\nPrivateKey=K\nListenPort=51999\n",
		says:    "wgnode: configure wg0: UDP port 51999: address already in use by wgnode (pid PID)",
		hint:    "that is the tunnel wg1: choose another port, or: wgnode down wg1",
		status:  1,
	},
	{
		name:   "a PreUp that removes the interface",
		conf:   "[Interface]\nPrivateKey=K\nPreUp=ip link delete %i\n",
		says:   "wgnode: configure wg0: the interface is gone: something has removed it since it was made",
		hint:   "do the hooks delete it? PreUp and PostUp run when the interface is there",
		status: 1,
	},
	{
		name:   "a PostUp that removes the interface",
		conf:   "[Interface]\nPrivateKey=K\nPostUp=ip link delete dev %i\n",
		says:   "wgnode: bring up wg0: the interface is gone: something has removed it since it was made",
		hint:   "do the hooks delete it? PreUp and PostUp run when the interface is there",
		status: 1,
	},
	{
		name:   "a hook whose program is missing",
		conf:   "[Interface]\nPrivateKey=K\n\nPostUp=no-such-program %i\n",
		says:   "wgnode: /etc/wireguard/wg0.conf:4: run PostUp hook: exit status 127",
		hint:   "127 means that bash did not find a command of the hook: is it installed, and in PATH?",
		status: 127,
	},
	{
		name:    "a tunnel that is up",
		prepare: "wgnode up wg1",
		command: "wgnode up wg1",
		says:    "wgnode: wg1 is already up (pid PID)",
		hint:    "to apply changes: wgnode reload wg1",
		status:  1,
	},
	{
		name:    "the name of a network card",
		prepare: "cp /etc/wireguard/wg1.conf /etc/wireguard/lan0.conf",
		command: "wgnode up lan0",
		says:    "wgnode: `lan0' already exists",
		hint:    "lan0 is an interface of this host, not a tunnel: give the file of the tunnel another name",
		status:  1,
	},
	{
		name:    "down of a network card",
		command: "wgnode down lan0",
		says:    "wgnode: `lan0' is not a WireGuard interface",
		hint:    "`wgnode show interfaces` lists those there are",
		status:  1,
	},
	{
		name:    "a damaged journal",
		prepare: "mkdir -m 700 /run/wgnode && printf '{' >/run/wgnode/wg1.json && chmod 600 /run/wgnode/wg1.json",
		command: "wgnode down wg1",
		says:    "wgnode: open journal /run/wgnode/wg1.json: the file is damaged: unexpected end of JSON input",
		hint: "its file is lost: rm /run/wgnode/wg1.json, then `wgnode recover`; ip rule, nft list tables and /etc/resolv.conf " +
			"show whether anything else is left",
		status: 1,
	},
	{
		name:    "doctor of a network card",
		command: "wgnode doctor lan0",
		says:    "wgnode: `lan0' is not a WireGuard interface",
		hint:    "`wgnode show interfaces` lists those there are",
		status:  1,
	},
	{
		name:    "a name that is too long",
		prepare: "cp /etc/wireguard/wg1.conf /etc/wireguard/wg-very-long-interface-name.conf",
		command: "wgnode up wg-very-long-interface-name",
		says:    `wgnode: "wg-very-long-interface-name": name too long: interface names have at most 15 characters`,
		hint:    "rename the file: mv /etc/wireguard/wg-very-long-interface-name.conf /etc/wireguard/wg-very-long-in.conf",
		status:  1,
	},
	{
		name:    "a path with a name that is too long",
		prepare: "cp /etc/wireguard/wg1.conf /etc/wireguard/wg-very-long-interface-name.conf",
		command: "wgnode up /etc/wireguard/wg-very-long-interface-name.conf",
		says:    `wgnode: "wg-very-long-interface-name": name too long: interface names have at most 15 characters`,
		hint:    "rename the file: mv /etc/wireguard/wg-very-long-interface-name.conf /etc/wireguard/wg-very-long-in.conf",
		status:  1,
	},
	{
		name:    "a file of /etc/wireguard by its whole name",
		command: "wgnode up wg1.conf",
		says:    "wgnode: wg1.conf does not exist",
		hint:    "/etc/wireguard/wg1.conf is the file of wg1: give the name alone",
		status:  1,
	},
	{
		name:    "no such configuration",
		command: "wgnode up wg7",
		says:    "wgnode: no configuration for wg7: neither /etc/wireguard/wg7.conf nor wg7.toml exists",
		hint:    "/etc/wireguard has configurations for full1, wg1",
		status:  1,
	},
	{
		name:   "an empty file",
		conf:   "\n",
		says:   "Warning: /etc/wireguard/wg0.conf: the file is empty: the tunnel has no key, no address and no peer",
		status: 0,
	},
	{
		name:   "a file that is all comments",
		conf:   "# [Interface]\n# PrivateKey = K\n",
		says:   "Warning: /etc/wireguard/wg0.conf: the file holds nothing but comments: the tunnel has no key, no address and no peer",
		status: 0,
	},
	{
		name:   "no private key",
		conf:   "[Interface]\nAddress=10.1.0.1/24\n[Peer]\nPublicKey=P\nAllowedIPs=10.1.0.2/32\n",
		says:   "Warning: /etc/wireguard/wg0.conf: PrivateKey: missing: without it no peer can be reached; `wgnode genkey` makes one",
		status: 0,
	},
	{
		name: "a second [Interface]",
		conf: "[Interface]\nPrivateKey=K\nAddress=10.1.0.1/24\n[Interface]\nAddress=10.1.0.1/24\n",
		says: "wgnode: /etc/wireguard/wg0.conf:5: Address: duplicate address 10.1.0.1/24: the [Interface] in line 4 repeats that in line 1; " +
			"keep one of the two",
		status: 1,
	},
}

var pidInText = regexp.MustCompile(`pid [0-9]+`)

func TestMessages(t *testing.T) {
	lab.Need(t, "bash", "cp", "ip", "ps", "wg")
	t.Parallel()
	wgnode, key, peer, other := lab.Wgnode(t), lab.NewKey(t), lab.NewKey(t), lab.NewKey(t)
	fill := strings.NewReplacer("=K\n", "="+key.Private+"\n", "=P\n", "="+peer.Public+"\n", "=Q\n", "="+other.Public+"\n").Replace
	for _, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			l := lab.New(t)
			h := l.Host("h")
			h.Run("sh", "-c", "mkdir -p /run/bin /etc/wireguard && ln -s "+wgnode+" /run/bin/wgnode && ip link set lo up")
			l.Link(h.End("lan0", "192.168.77.5/24"), l.Host("far").End("lan0"))
			h.WriteFile("/etc/wireguard/wg1.conf",
				fill("[Interface]\nPrivateKey=K\nListenPort=51999\n[Peer]\nPublicKey=Q\nAllowedIPs=10.99.0.0/16\n"), 0o600)
			h.WriteFile("/etc/wireguard/full1.conf",
				fill("[Interface]\nPrivateKey=K\nFwMark=77\n[Peer]\nPublicKey=Q\nAllowedIPs=0.0.0.0/0\n"), 0o600)
			shell := func(command string) []string {
				return []string{"sh", "-c", "export PATH=/run/bin:$PATH; cd /run/bin; " + command}
			}
			if m.prepare != "" {
				h.Run(shell(m.prepare)...)
			}
			if m.conf != "" {
				h.WriteFile("/etc/wireguard/wg0.conf", fill(m.conf), 0o600)
			}
			command := m.command
			if command == "" {
				command = "wgnode up wg0"
			}
			before := sitetest.HostState(h)
			out, status, err := h.Try(shell(command)...)
			if err != nil || status != m.status {
				t.Errorf("status %d, %v, want %d", status, err, m.status)
			}
			out = pidInText.ReplaceAllString(out, "pid PID")
			want := m.says
			if m.hint != "" {
				want += "\nwgnode: hint: " + m.hint
			}
			if !strings.Contains("\n"+out, "\n"+want+"\n") {
				t.Errorf("want\n%s\nin\n%s", want, out)
			}
			if strings.Contains(out, key.Private) {
				t.Error("the private key is printed")
			}
			if m.status != 0 {
				sitetest.Unchanged(t, h, before)
			}
		})
	}
}
