//go:build linux

package services

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

// The services as people use them: programs that everybody has, a node that may do
// nothing, and a peer that is wireguard-go. Behind that is B, which both families
// lead to.

// servedSite is a site where nobody's node on A has every service, and B and A have
// servers that echo what they are sent once that has ended.
type servedSite struct {
	*nobody
	node *lab.Proc
}

// Where the services are. Two are the same for both families.
const (
	socks, socks6, web, web6, names, names6 = "127.0.0.1:1080", "[::1]:1080", "127.0.0.1:8118", "[::1]:8118", "127.0.0.1:5300", "[::1]:5300"
	metricsAt                               = "127.0.0.1:9586"
)

// serviceFlagsOf are those of the node, which begins to serve the last one last.
func (s *servedSite) serviceFlagsOf() []string {
	b6 := "[" + s.Addr.B.V6.Addr().String() + "]"
	return []string{
		"--socks5", socks, "--socks5", socks6, "--http", web, "--http", web6, "--metrics", metricsAt,
		"--forward", "7001=web.corp.example:7", "--forward", "[::1]:7001=" + b6 + ":7", "--forward",
		"7002=" + s.Addr.B.V4.Addr().String() + ":81",
		"--forward", "7009=web.corp.example:9", "--forward", "7011=" + s.Addr.B.V4.Addr().String() + ":11",
		"--remote-forward", "2209=127.0.0.1:9", "--remote-forward", "2211=127.0.0.1:11", "--forward",
		"udp:7003=v6.corp.example:7", "--forward", "udp:5301=" + s.Addr.B.V4.Addr().String() + ":53",
		"--remote-forward", "2201=127.0.0.1:7", "--remote-forward", "2202=[::1]:7", "--remote-forward", "2203=127.0.0.1:1",
		"--remote-forward", "udp:2204=127.0.0.1:7", "--dns", names, "--dns", names6,
	}
}

func newServedSite(t *testing.T) *servedSite {
	t.Helper()
	lab.Need(t, "ncat", "dig", "ip")
	s := &servedSite{nobody: newNobody(t, newSite(t, false))}
	s.Upstream(s.H, s.ConfH, "10.0.0.2/24", "10.0.0.1/32", "fd0a::1/128")
	v4, v6 := s.Addr.B.V4.Addr().String(), s.Addr.B.V6.Addr().String()
	zone := new(lab.Zone)
	zone.Set("web.corp.example", v4, v6)
	zone.Set("v6.corp.example", v6)
	s.B.ServeDNS(net.JoinHostPort(v4, "53"), zone)
	s.B.ServeHTTP(net.JoinHostPort(v6, "80"), "hello")
	for _, host := range []*lab.Host{s.A, s.B} {
		addrs := []string{"127.0.0.1:7", "[::1]:7"}
		if host == s.B {
			addrs = []string{net.JoinHostPort(v4, "7"), net.JoinHostPort(v6, "7")}
		}
		for _, addr := range addrs {
			serveEcho(host.Listen("tcp", addr))
			host.ServeEcho(addr)
		}
	}
	s.ConfA.Replace(t, "ListenPort = 51821\n", "ListenPort = 51821\nDNS = "+v4+", corp.example\n")
	s.node = s.serve("[#] DNS forwarder at "+names6+"\n", append([]string{s.file("wg0.conf", s.ConfA.Text)}, s.serviceFlagsOf()...)...)
	return s
}

// serveEcho sends back what a connection has brought once its other half has ended.
func serveEcho(l net.Listener) {
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer c.Close()
				if all, err := io.ReadAll(c); err == nil {
					_, _ = c.Write(all) // the client may be gone
				}
			}()
		}
	}()
}

// answers runs a program on a host and wants that status, and that in its output.
func answers(t *testing.T, h *lab.Host, input string, status int, want string, args ...string) {
	t.Helper()
	out, got, err := h.TryInput(input, args...)
	if err != nil || got != status || !strings.Contains(out, want) {
		t.Errorf("%q: status %d, %v, want %d and %q in\n%s", args, got, err, status, want, out)
	}
}

func TestServicesByClients(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	t.Run("curl", s.curlAll)
	t.Run("ncat", s.ncat)
	t.Run("dig", s.dig)
	t.Run("UDP echo", s.echoUDP)
	t.Run("ssh", s.ssh)
	t.Run("only where told", s.onlyWhereTold)
	s.end(s.node)
	s.nothingLeft()
}

// addressesB are B's addresses.
func (s *servedSite) addressesB() (v4, v6 string) {
	return s.Addr.B.V4.Addr().String(), s.Addr.B.V6.Addr().String()
}

// curlAll asks both proxies for all that they have, and for what they have not.
func (s *servedSite) curlAll(t *testing.T) {
	v4, v6 := s.addressesB()
	a := s.A.With(t)
	for _, proxy := range []string{socks, socks6} {
		for _, at := range []string{"web.corp.example", "v6.corp.example", "web", v4, "[" + v6 + "]"} {
			answers(t, a, "", 0, "hello", "curl", "-sS", "--socks5-hostname", proxy, "http://"+at+"/")
		}
	}
	for _, proxy := range []string{web, web6} {
		for _, at := range []string{"web.corp.example", "v6.corp.example", "web", v4, "[" + v6 + "]"} {
			answers(t, a, "", 0, "hello", "curl", "-sS", "-x", "http://"+proxy, "http://"+at+"/")
			answers(t, a, "", 0, "hello", "curl", "-sS", "-p", "-x", "http://"+proxy, "http://"+at+"/")
		}
	}
	// Refused; in no AllowedIPs; no such name; this host's own, which is none of
	// the tunnel's.
	a.ServeHTTP("127.0.0.1:9999", "secret")
	for _, at := range []string{v4 + ":81", "[" + v6 + "]:81", "192.0.2.1", "nowhere.example", "127.0.0.1:9999", "localhost:9999"} {
		answers(t, a, "", 97, "curl: (97)", "curl", "-sS", "--socks5-hostname", socks, "http://"+at+"/")
		answers(t, a, "", 0, "502", "curl", "-sS", "-x", "http://"+web, "-o", "/dev/null", "-w", "%{http_code}", "http://"+at+"/")
	}
}

// ncat gets back what it has sent, and the end of it, from each service with streams.
func (s *servedSite) ncat(t *testing.T) {
	v4, v6 := s.addressesB()
	const text = "there and back"
	a, b := s.A.With(t), s.B.With(t)
	for _, at := range [][]string{{"127.0.0.1", "7001"}, {"::1", "7001"}} {
		answers(t, a, text, 0, text, append([]string{"ncat"}, at...)...)
	}
	for _, proxy := range [][]string{{"--proxy-type", "socks5", "--proxy", socks}, {"--proxy-type", "http", "--proxy", web}} {
		for _, host := range []string{"web.corp.example", v4, v6} {
			args := append(append([]string{"ncat", "--proxy-dns", "remote"}, proxy...), host, "7")
			answers(t, a, text, 0, text, args...)
		}
	}
	for _, to := range []string{"web:7", net.JoinHostPort(v4, "7"), net.JoinHostPort(v6, "7")} {
		answers(t, a, text, 0, text, s.wgnode("connect", "wg0", to)...)
	}
	for _, at := range [][]string{{"10.0.0.1", "2201"}, {"fd0a::1", "2201"}, {"10.0.0.1", "2202"}} {
		answers(t, b, text, 0, text, append([]string{"ncat"}, at...)...)
	}
	for _, to := range []string{net.JoinHostPort(v4, "81"), net.JoinHostPort(v6, "81")} {
		answers(t, a, text, 1, "connection refused", s.wgnode("connect", "wg0", to)...)
	}
	// Nobody listens there: it ends at once, without an answer.
	for _, at := range []string{"127.0.0.1 7002", "10.0.0.1 2203"} {
		h := a
		if strings.HasPrefix(at, "10.") {
			h = b
		}
		if out, _, err := h.TryInput(text, append([]string{"ncat"}, strings.Fields(at)...)...); err != nil || strings.Contains(out, text) {
			t.Errorf("%s: %v\n%s", at, err, out)
		}
	}
}

// dig asks the DNS forwarder by UDP and TCP.
func (s *servedSite) dig(t *testing.T) {
	v4, v6 := s.addressesB()
	dig := func(h *lab.Host, at string, want string, args ...string) {
		t.Helper()
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			t.Fatal(err)
		}
		answers(t, h.With(t), "", 0, want, append([]string{"dig", "@" + host, "-p", port, "+tries=5", "+time=3"}, args...)...)
	}
	for _, at := range []string{names, names6} {
		for _, how := range []string{"+notcp", "+tcp"} {
			dig(s.A, at, v4+"\n", how, "+short", "web.corp.example")
			dig(s.A, at, v6+"\n", how, "+short", "v6.corp.example", "AAAA")
			dig(s.A, at, "status: NXDOMAIN", how, "nowhere.example")
			dig(s.A, at, "status: NOERROR", how, "web.corp.example", "MX")
		}
	}
	dig(s.A, "127.0.0.1:5301", v4+"\n", "+short", "web.corp.example") // a forward of UDP
}

// echoUDP goes by the forwards, and by associations of SOCKS5.
func (s *servedSite) echoUDP(t *testing.T) {
	for _, to := range []struct {
		h  *lab.Host
		at string
	}{{s.A, "127.0.0.1:7003"}, {s.B, "10.0.0.1:2204"}, {s.B, "[fd0a::1]:2204"}} {
		c, err := to.h.Dial(t.Context(), "udp", to.at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := pingPong(c, []byte("ping"), []byte("ping")); err != nil {
			t.Errorf("%s: %v", to.at, err)
		}
	}
	for _, proxy := range []string{socks, socks6} {
		control, near := s.associate(t, proxy)
		defer control.Close()
		defer near.Close()
		for _, to := range []string{
			"\x01" + string(s.Addr.B.V4.Addr().AsSlice()), "\x04" + string(s.Addr.B.V6.Addr().AsSlice()), "\x03\x10web.corp.example",
		} {
			if err := pingPong(near, []byte("\x00\x00\x00"+to+"\x00\x07ping"), []byte("\x00\x07ping")); err != nil {
				t.Errorf("%q: %v", to, err)
			}
		}
	}
}

// onlyWhereTold wants the node to listen where its configuration says, and for this host only.
func (s *servedSite) onlyWhereTold(t *testing.T) {
	a := s.A.With(t)
	pid := strings.TrimSpace(a.Run("pgrep", "-u", "65534", "-x", "wgnode"))
	out := a.Run("ss", "-Hlntup")
	want := map[string]bool{}
	for _, at := range []string{socks, socks6, web, web6, names, names6, metricsAt, "127.0.0.1:7001", "[::1]:7001",
		"127.0.0.1:7002", "127.0.0.1:7009", "127.0.0.1:7011"} {
		want["tcp "+at] = true
	}
	for _, at := range []string{names, names6, "127.0.0.1:7003", "127.0.0.1:5301", "0.0.0.0:51821", "[::]:51821"} {
		want["udp "+at] = true
	}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); strings.Contains(line, "pid="+pid+",") {
			if at := f[0] + " " + f[4]; !want[at] {
				t.Errorf("it listens at %s", at)
			} else {
				delete(want, at)
			}
		}
	}
	for at := range want {
		t.Errorf("it does not listen at %s:\n%s", at, out)
	}
	// What is for this host is not there for peers.
	for _, port := range []string{"1080", "8118", "9586", "5300", "7001"} {
		answers(t, s.B.With(t), "", 1, "Connection refused", "ncat", "-w5", "10.0.0.1", port)
	}
}

// ssh goes through the tunnel by each of the ways that ProxyCommand has, with names
// that only the tunnel's name server knows.
func (s *servedSite) ssh(t *testing.T) {
	lab.Need(t, "ssh", "sshd", "ssh-keygen", "sha256sum")
	a, b := s.A.With(t), s.B.With(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for d := dir; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"host", "user"} {
		b.Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path(name))
	}
	b.Run("chown", "65534", path("user"))
	b.Run("mkdir", "-p", "/run/sshd") // where it empties a folder for itself
	b.WriteFile(path("sshd_config"), "Port 22\nHostKey "+path("host")+"\nAuthorizedKeysFile "+path("user.pub")+
		"\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n", 0o644)
	sshd := b.Run("sh", "-c", "command -v sshd || echo /usr/sbin/sshd")
	b.Start(strings.TrimSpace(sshd), "-D", "-e", "-f", path("sshd_config")).WaitOutput(patience.Context(t), "Server listening on :: port 22")
	b.WriteFile(path("known"), "* "+b.ReadFile(path("host.pub")), 0o644)

	data := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	sum := strings.Fields(a.RunInput(data, "sha256sum"))[0]
	connect := s.program + " connect wg0 %h:%p"
	for _, proxy := range []string{connect, "ncat --proxy " + socks + " --proxy-type socks5 --proxy-dns remote %h %p",
		"ncat --proxy " + web + " --proxy-type http %h %p"} {
		for _, host := range []string{"web.corp.example", s.Addr.B.V6.Addr().String()} {
			answers(t, a, data, 0, sum+"  -\n", append(s.unprivileged(), "ssh", "-v", "-F", "none", "-i", path("user"), "-o",
				"UserKnownHostsFile="+path("known"),
				"-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "ProxyCommand="+proxy, "root@"+host, "sha256sum")...)
		}
	}
}

// associate has a SOCKS5 proxy open an association: the connection that holds it
// open, and a socket to where its packets go.
func (s *servedSite) associate(t *testing.T, proxy string) (control, near net.Conn) {
	t.Helper()
	control, err := s.A.Dial(t.Context(), "tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(proxy)
	length := 2 + 4 + net.IPv4len + 2
	if strings.Contains(host, ":") {
		length = 2 + 4 + net.IPv6len + 2
	}
	reply := make([]byte, length)
	_, err = control.Write([]byte("\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"))
	if err == nil {
		_, err = io.ReadFull(control, reply)
	}
	if err != nil || reply[3] != 0 {
		t.Fatalf("%x, %v", reply, err)
	}
	port := int(reply[length-2])<<8 | int(reply[length-1])
	if near, err = s.A.Dial(t.Context(), "udp", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
		t.Fatal(err)
	}
	return control, near
}

// pingPong sends a packet until an answer comes, which must end so.
func pingPong(c net.Conn, out, want []byte) error {
	buf := make([]byte, 2000)
	for until := patience.Deadline(); time.Now().Before(until); {
		if _, err := c.Write(out); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue // packets may get lost
		}
		if err == nil && !bytes.HasSuffix(buf[:n], want) {
			err = fmt.Errorf("to %q came %q", out, buf[:n])
		}
		return err
	}
	return fmt.Errorf("no answer to %q", out)
}
