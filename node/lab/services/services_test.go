//go:build linux

package services

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// nobody runs commands of wgnode on A without any right: another user, no
// capabilities, no /dev/net/tun.
type nobody struct {
	*site
	folder, run, program string
}

func newNobody(t *testing.T, s *site) *nobody {
	t.Helper()
	lab.Need(t, "setpriv", "curl")
	dir := t.TempDir()
	n := &nobody{s, dir, filepath.Join(dir, "run"), filepath.Join(dir, "wgnode")}
	s.A.Run("cp", s.Wgnode, n.program)
	s.A.Run("install", "-d", "-o", "65534", "-m", "700", n.run)
	for d := dir; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err == nil {
		s.A.Run("mount", "--bind", "/dev/null", "/dev/net/tun")
	}
	return n
}

func (n *nobody) file(name, text string) string {
	n.T.Helper()
	path := filepath.Join(n.folder, name)
	n.A.WriteFile(path, text, 0o644)
	return path
}

// unprivileged is what makes a command line nobody's.
func (n *nobody) unprivileged() []string {
	return []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs",
		"env", "XDG_RUNTIME_DIR=" + n.run, "PROXY_PASSWORD=open-sesame"}
}

func (n *nobody) wgnode(args ...string) []string {
	return append(append(n.unprivileged(), n.program), args...)
}

// serve runs a node in the foreground and returns when its services are there.
func (n *nobody) serve(want string, args ...string) *lab.Proc {
	n.T.Helper()
	p := n.A.Start(n.wgnode(append([]string{"run"}, args...)...)...)
	p.WaitOutput(patience.Context(n.T), want)
	n.awaitNode(strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])))
	return p
}

func (n *nobody) end(p *lab.Proc) {
	n.T.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		n.T.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		n.T.Errorf("%v:\n%s", err, p.Output())
	}
}

func (n *nobody) curl(want string, args ...string) {
	n.T.Helper()
	if got := n.A.Run(append([]string{"curl", "-sS"}, args...)...); got != want {
		n.T.Errorf("curl %v printed %q", args, got)
	}
}

// awaitNode waits until the node of that name is up: then it answers.
func (n *nobody) awaitNode(name string) {
	n.T.Helper()
	if err := n.A.AwaitSocket(patience.Context(n.T), filepath.Join(n.run, "wgnode", name+".sock")); err != nil {
		n.T.Fatal(err)
	}
	if out, status, err := n.A.Try(n.wgnode("doctor", name)...); err != nil || status == 1 {
		n.T.Fatalf("doctor: status %d, %v\n%s", status, err, out)
	}
}

// nothingLeft wants no file of a node's.
func (n *nobody) nothingLeft() {
	n.T.Helper()
	if left := n.A.Run("find", n.run, "-mindepth", "1", "!", "-path", n.run+"/wgnode"); left != "" {
		n.T.Errorf("left behind:\n%s", left)
	}
}

// explainWeb judges the path to B's web server.
func (n *nobody) explainWeb() *diagnose.Report {
	n.T.Helper()
	out, _, err := n.A.Try(n.wgnode("explain", "wg0", n.Web(), "--json")...)
	if err != nil {
		n.T.Fatal(err)
	}
	var r diagnose.Report
	if err := sitetest.Decode(n.T, "explain", out, &r); err != nil {
		n.T.Fatalf("%v in\n%s", err, out)
	}
	return &r
}

// A file of wireproxy's runs by only changing the command, and connect has a node of
// its own where none runs, for somebody who may do nothing.
func TestWireproxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	n := newNobody(t, s)
	s.Upstream(s.H, s.ConfH, "10.0.0.2/24", "10.0.0.1/32")
	zone := new(lab.Zone)
	zone.Set("web.corp.example", s.IP(s.Addr.B))
	s.B.ServeDNS(net.JoinHostPort(s.IP(s.Addr.B), "53"), zone)
	s.B.ServeEcho(net.JoinHostPort(s.IP(s.Addr.B), "7"))
	s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nDNS = "+s.IP(s.Addr.B)+", corp.example\n")
	plain := n.file("wg0.conf", s.ConfA.Text)
	const request = "GET / HTTP/1.0\r\n\r\n"

	if got := s.A.RunInput(request, n.wgnode("connect", plain, "web:80")...); !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Errorf("connect with a node of its own printed %q", got)
	}

	wireproxy := n.file("proxy.conf", "WGConfig = wg0.conf\n[Socks5]\nBindAddress = 127.0.0.1:1080\nUsername = peter\n"+
		"Password = $PROXY_PASSWORD\n"+
		"[http]\nBindAddress = 127.0.0.1:8118\n[UDPProxyTunnel]\nBindAddress = 127.0.0.1:7007\nTarget = web.corp.example:7\n"+
		"InactivityTimeout = 30\n"+
		"[TCPClientTunnel]\nBindAddress = 127.0.0.1:8081\nTarget = web.corp.example:80\n[TCPServerTunnel]\n"+
		"ListenPort = 3422\nTarget = 127.0.0.1:8081\n")
	p := n.serve("[#] remote forward tcp :3422 to 127.0.0.1:8081", wireproxy)
	n.curl("hello", "--socks5-hostname", "peter:open-sesame@127.0.0.1:1080", "http://web.corp.example/")
	sitetest.Fails(t, s.A, 97, "rejected", "curl", "-sS", "--socks5-hostname", "peter:wrong@127.0.0.1:1080", "http://web.corp.example/")
	n.curl("hello", "http://127.0.0.1:8081/")
	n.curl("hello", "-x", "http://127.0.0.1:8118", "http://web.corp.example/")
	c, err := s.A.Dial(t.Context(), "udp", "127.0.0.1:7007")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := pingPong(c, []byte("ping"), []byte("ping")); err != nil {
		t.Error(err)
	}
	if got := s.H.Run("curl", "-sS", "http://10.0.0.1:3422/"); got != "hello" {
		t.Errorf("through the remote forward came %q", got)
	}
	if strings.Contains(p.Output(), "sesame") {
		t.Errorf("the password is shown:\n%s", p.Output())
	}
	n.end(p)
	stdio := n.file("stdio.conf", "WGConfig = wg0.conf\n[STDIOTunnel]\nTarget = web.corp.example:80\n")
	if got := s.A.RunInput(request, n.wgnode("run", stdio)...); !strings.Contains(got, "\r\n\r\nhello") {
		t.Errorf("standard input and output: %q", got)
	}
	n.nothingLeft()
}

// What takes a stack is refused with an interface, and nothing is changed.
func TestServicesRefusedWithInterface(t *testing.T) {
	lab.Need(t, "ip", "ps")
	s := newSite(t, false)
	before := sitetest.HostState(s.A)
	s.A.WriteFile("/etc/wireguard/wg0.toml", "[interface]\nprivate_key = \""+s.Alice.Private+"\"\n[socks5]\nlisten = 1080\n", 0o600)
	sitetest.Fails(t, s.A, 1, "socks5: only a node with a network stack of its own has services\nwgnode: hint: add --netstack", s.Wgnode, "up",
		"/etc/wireguard/wg0.toml")
	sitetest.Fails(t, s.A, 2, "--forward: \"80\" is not", s.Wgnode, "run", "wg0", "--forward", "80")
	s.A.Run("rm", "-df", "/run/wgnode")
	sitetest.Unchanged(t, s.A, before)
}
