//go:build linux

package services

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/patience"
)

// routed is a site whose H is a node without an interface and without privileges,
// which routes for A, a peer that is wireguard-go over a TUN of the kernel.
type routed struct {
	*site
	node *nobody // on H
}

func newRouted(t *testing.T, v6 bool) *routed {
	t.Helper()
	lab.Need(t, "curl", "ping", "ncat")
	s := newSite(t, v6)
	lan, bits := s.Addr.B.V4, "/24"
	if v6 {
		lan, bits = s.Addr.B.V6, "/64"
	}
	s.Upstream(s.A, s.ConfA, s.Inner(1)+bits, lan.Masked().String())
	return &routed{s, newNobody(t, s.turned())}
}

// turned is the same site with H in the place of A.
func (s *site) turned() *site {
	turned, hosts := *s.Site, *s.Classic
	hosts.A = s.H
	turned.Classic = &hosts
	return &site{&turned}
}

// config is the configuration of H with routes.
func (r *routed) config(routes ...string) string {
	text := fmt.Sprintf("[interface]\nprivate_key = %q\naddress = [\"10.0.0.2/24\", \"fd0a::2/64\"]\nlisten_port = 51820\n"+
		"[[peer]]\nname = \"alice\"\npublic_key = %q\nallowed_ips = [\"10.0.0.1/32\", \"fd0a::1/128\"]\n", r.Gateway.Private, r.Alice.Public)
	if len(routes) > 0 {
		text += "[route]\nallow = [\"" + strings.Join(routes, "\", \"") + "\"]\n"
	}
	return text
}

// at is a port of B.
func (r *routed) at(port string) string { return net.JoinHostPort(r.IP(r.Addr.B), port) }

// serve has B answer connections to a port.
func (r *routed) serve(port string, handle func(*net.TCPConn)) {
	r.T.Helper()
	l := r.B.Listen("tcp", r.at(port))
	r.T.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			}()
		}
	}()
}

func (r *routed) dial(network, port string) net.Conn {
	r.T.Helper()
	c, err := r.A.Dial(patience.Context(r.T), network, r.at(port))
	if err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		r.T.Fatal(err)
	}
	return c
}

// sum copies n bytes that depend on a seed, and returns their sum.
func sum(w io.Writer, seed byte, n int64) (string, error) {
	h := sha256.New()
	_, err := io.CopyN(io.MultiWriter(w, h), rand.NewChaCha8([32]byte{seed}), n)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// Peers reach what is beyond a node that has no privileges, as far as it is told to
// let them, and are told the truth of what cannot be had.
func TestRouting(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[v6], func(t *testing.T) {
			t.Parallel()
			r := newRouted(t, v6)
			host := func(n string) string { // of B's network
				return strings.Replace(strings.Replace(r.IP(r.Addr.B), "200.22", "200."+n, 1), "::22", "::"+n, 1)
			}
			p := r.node.serve("[#] routing for peers to",
				r.node.file("wg0.toml", r.config(r.IP(r.Addr.B), host("77"), "tcp:"+r.web6("88"))), "--netstack")
			r.traffic(v6)
			r.bulk()
			r.refusals(host)
			r.explained(host)
			r.reloaded(host)
			r.node.end(p)
		})
	}
}

// web6 is port 80 of a host, as a route has it.
func (r *routed) web6(n string) string {
	host := strings.Replace(strings.Replace(r.IP(r.Addr.B), "200.22", "200."+n, 1), "::22", "::"+n, 1)
	return net.JoinHostPort(host, "80")
}

func (r *routed) traffic(v6 bool) {
	t := r.T
	t.Helper()
	if got := r.A.Run("curl", "-sS", "http://"+r.Web()); got != "hello" {
		t.Errorf("curl prints %q", got)
	}
	r.B.ServeEcho(r.at("7"))
	c := r.dial("udp", "7")
	for _, size := range []int{10, 1300, 9000} {
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 65535)); n != size || err != nil {
			t.Errorf("UDP: %d bytes of %d, %v", n, size, err)
		}
	}
	r.serve("9", func(c *net.TCPConn) { // answers when its client has said all
		b, _ := io.ReadAll(c)
		_, _ = c.Write(bytes.ToUpper(b))
	})
	if got := r.A.RunInput("half closed\n", "ncat", r.IP(r.Addr.B), "9"); got != "HALF CLOSED\n" {
		t.Errorf("ncat prints %q", got)
	}
	// An account that may not open a socket for echo says so.
	if out, status, err := r.A.Try("ping", "-c1", "-W", patience.Seconds(), r.IP(r.Addr.B)); err != nil || status != 1 ||
		!strings.Contains(out, "filtered") && !strings.Contains(out, "rohibited") {
		t.Errorf("ping without a right to: status %d, %v\n%s", status, err, out)
	}
	r.H.Sysctl("net.ipv4.ping_group_range", "0 2147483647")
	r.A.Run("ping", "-c2", "-i0.2", "-W", patience.Seconds(), r.IP(r.Addr.B))
	r.A.Run("ping", "-c1", "-s4000", "-W", patience.Seconds(), r.IP(r.Addr.B))
}

func (r *routed) bulk() {
	t := r.T
	t.Helper()
	const size = 32e6
	sums := make(chan string, 2)
	r.serve("1000", func(c *net.TCPConn) { // reads to the end, then sends as much
		h := sha256.New()
		_, _ = io.Copy(h, c)
		sums <- fmt.Sprintf("%x", h.Sum(nil))
		if s, err := sum(c, 2, size); err == nil {
			sums <- s
		}
	})
	c := r.dial("tcp", "1000").(*net.TCPConn)
	sent, err := sum(c, 1, size)
	if err := errors.Join(err, c.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if n, err := io.Copy(h, c); n != size || err != nil {
		t.Fatalf("%d bytes came back, %v", n, err)
	}
	if got := <-sums; got != sent {
		t.Error("what came to B is not what A sent")
	}
	if got := <-sums; got != fmt.Sprintf("%x", h.Sum(nil)) {
		t.Error("what came to A is not what B sent")
	}

	r.serve("1001", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	conns := make(chan net.Conn, 1000)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range cap(conns) / 20 {
				c, err := r.A.Dial(patience.Context(t), "tcp", r.at("1001"))
				if err != nil {
					t.Error(err)
					return
				}
				conns <- c
			}
		})
	}
	wg.Wait()
	close(conns)
	for c := range conns { // all are open by now
		if _, err := c.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
}

func (r *routed) refusals(host func(string) string) {
	t := r.T
	t.Helper()
	if _, err := r.A.Dial(patience.Context(t), "tcp", r.at("81")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
	sitetest.Fails(t, r.A, 7, "", "curl", "-sS", "http://"+r.at("81"))
	sitetest.Fails(t, r.A, 7, "", "curl", "-sS", "http://"+net.JoinHostPort(host("99"), "80")) // not allowed
	sitetest.Fails(t, r.A, 7, "", "curl", "-sS", "http://"+net.JoinHostPort(host("77"), "80")) // nobody is there
	c := r.dial("udp", "82")
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("UDP to a port where nobody listens: %v", err)
	}
	r.serve("1002", func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	})
	c = r.dial("tcp", "1002")
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %v", err)
	}
	// A client that is killed.
	gone, began := make(chan error, 1), make(chan struct{})
	r.serve("1003", func(c *net.TCPConn) {
		close(began)
		_, err := sum(c, 3, 1<<40)
		gone <- err
	})
	p := r.A.Start("ncat", "--recv-only", r.IP(r.Addr.B), "1003")
	<-began
	p.Stop()
	if err := patience.Receive(t, "B's connection to end with its client", gone); err == nil {
		t.Error("all was sent to a client that is gone")
	}
}

// explained: both sides see the routing through.
func (r *routed) explained(host func(string) string) {
	t := r.T
	t.Helper()
	onH := func(target string, client ...string) *diagnose.Report {
		t.Helper()
		loop := r.A.Start("sh", "-c", "while :; do "+strings.Join(client, " ")+"; sleep 0.2; done")
		defer loop.Stop()
		var rep diagnose.Report
		out, _, err := r.H.Try(r.node.wgnode("explain", "wg0", target, "--passive", "--json")...)
		if err != nil {
			t.Fatal(err)
		}
		if err := sitetest.Decode(t, "explain", out, &rep); err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		return &rep
	}
	curl := func(address string) []string {
		return []string{"curl", "-s", "-o", "/dev/null", "-m", "4", "http://" + address}
	}
	rung := func(rep *diagnose.Report, cp string) diagnose.Rung {
		for _, one := range rep.Ladder {
			if one.Checkpoint.String() == cp {
				return one
			}
		}
		t.Fatalf("no %s", cp)
		return diagnose.Rung{}
	}
	for _, c := range []struct {
		target string
		code   diagnose.Code
		b5, b6 diagnose.Status
		says   string
	}{
		{target: r.Web(), code: diagnose.Healthy, b5: diagnose.Pass, b6: diagnose.Pass, says: "reply"},
		{target: r.at("81"), code: diagnose.ConnectionRefused, b5: diagnose.Pass, b6: diagnose.Pass, says: "refuses"},
		{target: net.JoinHostPort(host("99"), "80"), code: diagnose.ForwardFirewall, b5: diagnose.Fail, b6: diagnose.Unknown,
			says: "does not let peers reach"},
		{target: net.JoinHostPort(host("77"), "80"), code: diagnose.NeighborUnreachable, b5: diagnose.Pass, b6: diagnose.Fail,
			says: "cannot be reached from this host"},
	} {
		rep := onH(c.target, curl(c.target)...)
		if v := &rep.Verdict; v.Code != c.code || !strings.Contains(strings.Join(append(evidence.Texts(v.Evidence), v.Summary), "\n"), c.says) {
			t.Errorf("%s: verdict %s: %s\n%s", c.target, v.Code, v.Summary, strings.Join(evidence.Texts(v.Evidence), "\n"))
		}
		if b5, b6 := rung(rep, "B5"), rung(rep, "B6"); b5.Status != c.b5 || b6.Status != c.b6 {
			t.Errorf("%s: B5 %s (%s), B6 %s (%s)", c.target, b5.Status, b5.Detail, b6.Status, b6.Detail)
		}
	}
}

// reloaded: what a file does not allow any more ends, and the rest goes on.
func (r *routed) reloaded(host func(string) string) {
	t := r.T
	t.Helper()
	r.serve("1004", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	c := r.dial("tcp", "1004")
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	r.node.file("wg0.toml", r.config())
	if out := r.H.Run(r.node.wgnode("reload", "wg0")...); !strings.Contains(out, "[#] no routing for peers") {
		t.Errorf("reload prints %q", out)
	}
	sitetest.Fails(t, r.A, 7, "", "curl", "-sS", "http://"+r.Web())
	if _, err := c.Write([]byte("x")); err == nil {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection that is not allowed any more: %v", err)
		}
	}
	r.node.file("wg0.toml", r.config(r.IP(r.Addr.B)))
	r.H.Run(r.node.wgnode("reload", "wg0")...)
	if got := r.A.Run("curl", "-sS", "http://"+r.Web()); got != "hello" {
		t.Errorf("curl prints %q", got)
	}
}

// The other end of the tunnel sees through to what is beyond a node that routes.
func TestRoutingSeenThrough(t *testing.T) {
	t.Parallel()
	s := newSite(t, false)
	n := newNobody(t, s.turned())
	s.H.Sysctl("net.ipv4.ping_group_range", "0 2147483647")
	p := n.serve("[#] routing for peers to", n.file("wg0.conf", s.ConfH.Text), "--netstack", "--route-for-peers",
		s.IP(s.Addr.B), "--route-for-peers", "192.168.200.77")
	s.Up(s.A, s.ConfA)
	s.Want(s.Explain(s.Web()), diagnose.Healthy, "through gateway")
	s.Want(s.Explain(s.IP(s.Addr.B)), diagnose.Healthy, "through gateway")
	s.Want(s.Explain(net.JoinHostPort(s.IP(s.Addr.B), "81")), diagnose.ConnectionRefused, "refuses")
	s.Want(s.Explain("192.168.200.99:80"), diagnose.ForwardFirewall, "10.0.0.2 says: administratively prohibited")
	s.Want(s.Explain("192.168.200.99"), diagnose.ForwardFirewall, "10.0.0.2 says: administratively prohibited")
	s.Want(s.Explain("192.168.200.77:80"), diagnose.NeighborUnreachable, "10.0.0.2 says: host unreachable")
	n.end(p)
}
