//go:build linux

package services

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/patience"
)

// Without privileges up says what is missing, and what to type for a tunnel
// without an interface.
func TestUpUnprivileged(t *testing.T) {
	lab.Need(t, "ip", "ps")
	s := newSite(t, false)
	n := newNobody(t, s)
	file := n.file("wg0.conf", s.ConfA.Text)
	before := sitetest.HostState(s.A)
	sitetest.Fails(t, s.A, 1, "wgnode: wgnode up must be run as root\n"+
		"wgnode: cannot make a network interface: this process has no CAP_NET_ADMIN over its network, and "+noTUN+"\n"+
		"wgnode: hint: run it as root: sudo wgnode up "+file+"\n"+
		"wgnode: hint: or without privileges, in a network stack of its own: wgnode up "+file+" --netstack --socks5 1080\n",
		n.wgnode("up", file)...)
	killing := n.file("killing.toml", "[interface]\nprivate_key = \""+s.Alice.Private+"\"\nkill_switch = true\n")
	sitetest.Fails(t, s.A, 1, "hint: --netstack, which needs no privileges, does not help here: kill_switch: ", n.wgnode("up", killing)...)
	// A container's root, who may do nothing.
	powerless := []string{"setpriv", "--bounding-set=-net_admin", s.Wgnode}
	sitetest.Fails(t, s.A, 1, "wgnode: cannot make a network interface: this process has no CAP_NET_ADMIN over its network, and "+noTUN+"\n"+
		"wgnode: hint: in a container of Docker or podman: --cap-add NET_ADMIN --device /dev/net/tun\n", append(powerless, "up", file)...)
	sitetest.Fails(t, s.A, 1, "wgnode: cannot make a network interface: "+noTUN+"\n"+
		"wgnode: hint: in a container of Docker or podman: --device /dev/net/tun\n", s.Wgnode, "up", file)
	s.A.Run("umount", "/dev/net/tun")
	sitetest.Fails(t, s.A, 1, "wgnode: cannot make a network interface: this process has no CAP_NET_ADMIN over its network\n"+
		"wgnode: hint: in a container of Docker or podman: --cap-add NET_ADMIN\n", append(powerless, "up", file)...)
	sitetest.Unchanged(t, s.A, before)

	// What it says to type does it, also where others have interfaces.
	s.Up(s.H, s.ConfH)
	s.A.Run("install", "-d", "/run/wireguard")
	if out := s.A.Run(n.wgnode("up", file, "--netstack", "--socks5", "1080")...); !strings.Contains(out, "[!] wg(8) will not see wg0") {
		t.Errorf("up printed\n%s", out)
	}
	n.curl("hello", "--socks5-hostname", "127.0.0.1:1080", "http://"+s.Web())
	s.A.Run(n.wgnode("down", "wg0")...)
	n.nothingLeft()
}

// noTUN is what there is to be said of a host whose TUN device newNobody has
// hidden.
const noTUN = "/dev/net/tun is no TUN device: inappropriate ioctl for device"

// Run does without an interface where it cannot make one, says what of the
// configuration that costs, key by key, and nothing to standard output.
func TestRunFallsBack(t *testing.T) {
	s := newSite(t, false)
	n := newNobody(t, s)
	s.Upstream(s.H, s.ConfH, "10.0.0.2/24", "10.0.0.1/32")
	s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nDNS = "+s.IP(s.Addr.B)+
		"\nFwMark = 51820\nTable = 77\nSaveConfig = true\nPostUp = touch "+n.run+"/hooked\nPreDown = touch "+n.run+"/hooked\n")
	file := n.file("wg0.conf", s.ConfA.Text)
	p := s.A.Start("sh", "-c", "exec "+strings.Join(n.wgnode("run", file, "--log", n.run+"/log"), " ")+" >"+n.folder+"/stdout")
	p.WaitOutput(patience.Context(t), "skipped: FwMark")
	for _, want := range []string{
		"[!] there is no interface wg0: this process has no CAP_NET_ADMIN over its network, and " + noTUN + "\n",
		"[!] skipped: routes: what programs send to 10.0.0.2/32, fd0a::2/128, 192.168.200.0/24, fd00:200::/64 goes past the tunnel",
		"[!] and no service is configured: programs reach the tunnel through --socks5",
		"[!] skipped: DNS: ", "[!] skipped: PostUp: ", "[!] skipped: PreDown: ", "[!] skipped: Table: ", "[!] skipped: SaveConfig: ",
		"[!] skipped: FwMark: operation not permitted\n",
	} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("%q is not in\n%s", want, p.Output())
		}
	}
	n.awaitNode("wg0")
	if r := n.explainWeb(); !r.Verdict.Healthy() {
		t.Errorf("verdict %s", r.Verdict.Code)
	}
	n.end(p)
	if out := s.A.ReadFile(n.folder + "/stdout"); out != "" {
		t.Errorf("standard output has %q", out)
	}
	if log := s.A.ReadFile(n.run + "/log"); strings.Contains(log, "[!]") || !strings.Contains(log, "level=") {
		t.Errorf("the log has\n%s", log)
	}
	s.A.Run("rm", n.run+"/log")
	n.nothingLeft()

	toml := func(more string) string {
		return "[interface]\nprivate_key = \"" + s.Alice.Private + "\"\n" + more
	}
	// With services of the file, in its own names.
	p = n.serve("[#] SOCKS5 proxy", n.file("wg0.toml", toml("post_up = [\"true\"]\nexclude = [\"10.0.0.0/8\"]\n[socks5]\nlisten = 1080\n")))
	for _, want := range []string{"skipped: post_up: ", "skipped: exclude: "} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("%q is not in\n%s", want, p.Output())
		}
	}
	if strings.Contains(p.Output(), "no service") {
		t.Errorf("it says that there are no services:\n%s", p.Output())
	}
	n.end(p)

	// What others may rely on, and who waits for an interface.
	for name, more := range map[string]string{
		"kill_switch: ": "kill_switch = true", "forward: ": "forward = true", "masquerade: ": "masquerade = [\"eth0\"]",
		"port_forward: ":          "[[interface.port_forward]]\nprotocol = \"tcp\"\nport = 80\nto = \"10.0.0.2:80\"",
		"post_up runs iptables, ": "post_up = [\"iptables -I OUTPUT ! -o %i -j REJECT\"]",
	} {
		sitetest.Fails(t, s.A, 1, "make interface wg0: this process has no CAP_NET_ADMIN over its network, and "+noTUN+"\nwgnode: "+name,
			n.wgnode("run", n.file("wg0.toml", toml(more)))...)
	}
	sitetest.Fails(t, s.A, 1, "wgnode: make interface wg0: ", n.wgnode("run", file, "--netstack=false")...)
	manager, err := net.ListenPacket("unixgram", filepath.Join(n.folder, "notify"))
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	sitetest.Fails(t, s.A, 1, "wgnode: make interface wg0: ",
		append([]string{"env", "NOTIFY_SOCKET=" + manager.LocalAddr().String()}, n.wgnode("run", file)...)...)
	n.nothingLeft()
}
