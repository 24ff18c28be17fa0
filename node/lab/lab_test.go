//go:build linux

package lab_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestClassicReachesTheHubThroughNAT(t *testing.T) {
	lab.Need(t, "ping", "curl")
	c := lab.NewClassic(t, lab.Options{})
	for _, family := range []struct {
		name             string
		hub, seenAs, far string
	}{
		{name: "v4", hub: c.Addr.HWan.V4.Addr().String(), seenAs: c.Addr.RWan.V4.Addr().String(), far: c.Addr.B.V4.Addr().String()},
		{name: "v6", hub: c.Addr.HWan.V6.Addr().String(), seenAs: c.Addr.RWan.V6.Addr().String(), far: c.Addr.B.V6.Addr().String()},
	} {
		t.Run(family.name, func(t *testing.T) {
			c := c.With(t)
			c.A.Ping(family.hub)
			url := c.H.ServeHTTP(net.JoinHostPort(family.hub, "80"), "hello from H")
			if got := c.A.Run("curl", "-sS", url); got != "hello from H" {
				t.Errorf("curl printed %q", got)
			}

			l := c.H.Listen("tcp", net.JoinHostPort(family.hub, "81"))
			conn, err := c.A.Dial(patience.Context(t), "tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			if from, _, _ := net.SplitHostPort(accepted.RemoteAddr().String()); from != family.seenAs {
				t.Errorf("H sees A as %s, want the NAT router's %s", from, family.seenAs)
			}

			if out, status, err := c.A.Try("ping", "-c1", "-W1", family.far); err != nil || status == 0 {
				t.Errorf("A reaches B without a tunnel: status %d, %v\n%s", status, err, out)
			}
		})
	}
}

func TestTunnelFromAToTheLANBehindH(t *testing.T) {
	lab.Need(t, "curl", "wg")
	c := lab.NewClassic(t, lab.Options{})
	keyA, keyH := lab.NewKey(t), lab.NewKey(t)
	lan4, lan6 := c.Addr.HLan.V4.Masked().String(), c.Addr.HLan.V6.Masked().String()

	c.H.WireguardGo(lab.Tunnel{
		Name: "wg0",
		Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\nListenPort=51820\n[Peer]\nPublicKey=%s\nAllowedIPs=10.7.0.2/32,fd00:7::2/128\n",
			keyH.Private, keyA.Public),
		Addrs: []string{"10.7.0.1/24", "fd00:7::1/64"},
	})
	c.A.WireguardGo(lab.Tunnel{
		Name: "wg0", // as on H
		Conf: fmt.Sprintf("[Interface]\nPrivateKey=%s\n[Peer]\nPublicKey=%s\nEndpoint=%s:51820\nAllowedIPs=10.7.0.1/32,%s,fd00:7::1/128,%s\n",
			keyA.Private, keyH.Public, c.Addr.HWan.V4.Addr(), lan4, lan6),
		Addrs:  []string{"10.7.0.2/24", "fd00:7::2/64"},
		Routes: []string{lan4, lan6},
	})
	for _, addr := range []string{c.Addr.B.V4.Addr().String(), c.Addr.B.V6.Addr().String()} {
		url := c.B.ServeHTTP(net.JoinHostPort(addr, "80"), "hello from B")
		if got := c.A.Run("curl", "-sS", url); got != "hello from B" {
			t.Errorf("curl %s printed %q", url, got)
		}
	}
}

func TestHostHasItsOwnFiles(t *testing.T) {
	l := lab.New(t)
	one, two := l.Host("one"), l.Host("two")

	for _, path := range []string{"/run/wgnode/x", "/etc/wireguard/wg0.conf", "/etc/resolv.conf", "/etc/hosts"} {
		one.WriteFile(path, "of one", 0o600)
		if got := one.Run("cat", path); got != "of one" {
			t.Errorf("host one: %s holds %q", path, got)
		}
		if out, _, _ := two.Try("cat", path); out == "of one" {
			t.Errorf("host two sees host one's %s", path)
		}
		if got, err := os.ReadFile(path); err == nil && string(got) == "of one" {
			t.Errorf("host one's %s is the machine's", path)
		}
	}
	// Renaming over resolv.conf is how it is properly replaced.
	one.Run("sh", "-c", "echo nameserver 192.0.2.1 >/etc/new && mv /etc/new /etc/resolv.conf")
	if got := one.ReadFile("/etc/resolv.conf"); got != "nameserver 192.0.2.1\n" {
		t.Errorf("/etc/resolv.conf holds %q", got)
	}
	one.WriteFile("/run/wireguard/wg0.sock", "", 0o600)
	one.Run("test", "-e", "/var/run/wireguard/wg0.sock")
	if got := two.Run("hostname"); got != "two\n" {
		t.Errorf("host name is %q", got)
	}
	if _, status, _ := one.Try("sh", "-c", "echo >>/etc/passwd"); status == 0 {
		t.Error("a host can write to the machine's /etc")
	}
}

func TestTryTellsExitStatusFromFailure(t *testing.T) {
	h := lab.New(t).Host("one")
	out, status, err := h.Try("sh", "-c", "echo out; echo err >&2; exit 3")
	if out != "out\nerr\n" || status != 3 || err != nil {
		t.Errorf("got %q, %d, %v", out, status, err)
	}
	if _, _, err := h.Try("no-such-program"); err == nil {
		t.Error("a missing program gives no error")
	}
	if _, _, err := h.Try("sh", "-c", "kill -9 $$"); err == nil {
		t.Error("a killed program gives no error")
	}
	// It returns though a daemon holds on to the output for another hour.
	if out := h.Run("sh", "-c", "sleep 3600 & echo started"); out != "started\n" {
		t.Errorf("got %q", out)
	}
	if out := h.RunInput("through", "cat"); out != "through" {
		t.Errorf("got %q", out)
	}
	b, err := h.Command(t.Context(), "sh", "-c", "echo $PWD; echo err >&2").Output()
	if dir, _ := os.Getwd(); err != nil || string(b) != dir+"\n" {
		t.Errorf("got %q, %v; want the working directory, standard output alone", b, err)
	}
}

func TestProc(t *testing.T) {
	h := lab.New(t).Host("one")
	p := h.Start("sh", "-c", "trap 'echo stopping; exit 4' TERM; echo one; while :; do read x; done")
	p.WaitOutput(patience.Context(t), "one\n")
	p.Stop()
	if !strings.HasSuffix(p.Output(), "stopping\n") {
		t.Errorf("output is %q", p.Output())
	}
	if err := p.Wait(); err == nil || err.Error() != "exit status 4" {
		t.Errorf("ended with %v", err)
	}
}

func TestDo(t *testing.T) {
	l := lab.New(t)
	one, two := l.Host("one"), l.Host("two")
	l.Link(one.End("eth0", "192.0.2.1/24"), two.End("eth1", "192.0.2.2/24"))
	two.ServeEcho("192.0.2.2:7")

	conn, err := one.Dial(patience.Context(t), "udp", "192.0.2.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(patience.Deadline()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("echo")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "echo" {
		t.Errorf("got %q, %v", buf[:n], err)
	}

	before, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var inside string
	if err := one.Do(func() (err error) {
		if _, err := net.InterfaceByName("eth0"); err != nil {
			return err
		}
		inside, err = os.Readlink("/proc/1/ns/net") // the holder is process 1 of its /proc
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := traceOf(t, one).net; inside != want || before == want {
		t.Errorf("the function ran in %s, want %s; the test is in %s", inside, want, before)
	}

	if err := one.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("a function that ends its goroutine gives no error")
	}
	if err := one.Do(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("error of the function: %v, want %v", err, io.EOF)
	}
}
