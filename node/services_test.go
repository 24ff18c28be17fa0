package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestServices(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	before := openFiles(t)
	t.Run("", testServices) // whose clean-up comes before the look for leaks
	if now := openFiles(t); now > before {
		t.Errorf("%d descriptors are open, before it were %d", now, before)
	}
}

func testServices(t *testing.T) {
	socks, guarded, web, webGuarded, tcp, udp, named := localPort(t), localPort(t), localPort(t), localPort(t), localPort(t),
		localPort(t), localPort(t)
	local := "127.0.0.1:"
	host, err := net.Listen("tcp", local+"0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	alice, bob := nearSide(t, config.Services{
		SOCKS5: []config.Proxy{{Listen: local + socks}, {Listen: local + guarded, User: "alice", Password: "open sesame"}},
		HTTP:   []config.Proxy{{Listen: local + web}, {Listen: local + webGuarded, User: "alice", Password: "open sesame"}},
		Forwards: []config.Forward{{Protocol: "tcp", Listen: local + tcp, To: "web:7"},
			{Protocol: "udp", Listen: local + udp, To: "web.corp.example:7"}},
		RemoteForwards: []config.Forward{{Protocol: "tcp", Listen: ":2222", To: host.Addr().String()},
			{Protocol: "tcp", Listen: "10.0.0.1:2223", To: local + "1"}},
		DNS: []string{local + named},
	})

	t.Run("curl", func(t *testing.T) {
		for _, test := range []struct {
			args   []string
			want   string
			status int
		}{
			{[]string{"--socks5-hostname", local + socks, "http://web.corp.example/"}, "hello GET web.corp.example", 0},
			{[]string{"--socks5-hostname", local + socks, "http://web/"}, "hello GET web", 0}, // by the search domain
			{[]string{"--socks5-hostname", local + socks, "http://long.example/"}, "hello GET long.example", 0},
			{[]string{"--socks5", local + socks, "http://10.0.0.2/"}, "hello GET 10.0.0.2", 0},
			{[]string{"--socks5", local + socks, "http://[fd00::2]/"}, "hello GET [fd00::2]", 0},
			{[]string{"--socks5", local + socks, "http://10.0.0.2:81/"}, "(5)", 97}, // refused
			{[]string{"--socks5", local + socks, "http://192.0.2.1/"}, "(3)", 97},   // in no AllowedIPs
			{[]string{"--socks5-hostname", local + socks, "http://nowhere.example/"}, "(4)", 97},
			{[]string{"--socks5-hostname", local + guarded, "-U", "alice:open sesame", "http://web/"}, "hello GET web", 0},
			{[]string{"--socks5-hostname", "alice:wrong@" + local + guarded, "http://web/"}, "rejected", 97},
			{[]string{"--socks5-hostname", local + guarded, "http://web/"}, "", 97},
			{[]string{"-x", "http://" + local + web, "http://web/"}, "hello GET web", 0},
			{[]string{"-x", "http://" + local + web, "-d", "body", "http://web.corp.example/x?a;b"}, "hello POST web.corp.example body", 0},
			{[]string{"-x", "http://" + local + web, "-p", "http://[fd00::2]/"}, "hello GET [fd00::2]", 0},
			{[]string{"-x", "http://" + local + web, "http://10.0.0.2:81/"}, "connection refused", 0},
			{[]string{"-x", "http://" + local + web, "-p", "http://10.0.0.2:81/"}, "502", 56},
			{[]string{"-x", "http://" + local + web, "-w", "%{http_code}", "http://192.0.2.1/"},
				"192.0.2.1 is in no peer's AllowedIPs: network is unreachable\n502", 0},
			{[]string{"-x", "http://" + local + webGuarded, "-U", "alice:open sesame", "http://web/"}, "hello GET web", 0},
			{[]string{"-x", "http://" + local + webGuarded, "-U", "alice:open sesame", "-p", "http://web/"}, "hello GET web", 0},
			{[]string{"-x", "http://" + local + webGuarded, "-U", "alice:sesame", "-w", "%{http_code}", "http://web/"}, "407", 0},
			{[]string{"-x", "http://" + local + webGuarded, "-p", "http://web/"}, "407", 56},
			{[]string{"http://" + local + web + "/"}, "this is a proxy", 0},
		} {
			out, status := curl(t, test.args...)
			if !strings.Contains(out, test.want) || status != test.status {
				t.Errorf("curl %v: status %d, want %d and %q in\n%s", test.args, status, test.status, test.want, out)
			}
		}
	})

	t.Run("half-close", func(t *testing.T) {
		c := dialLocal(t, tcp)
		echoed(t, c, "forward")
		s := socksConnect(t, local+socks, "10.0.0.2:7")
		echoed(t, s, "socks")
		p := dialLocal(t, web)
		fmt.Fprint(p, "CONNECT 10.0.0.2:7 HTTP/1.1\r\nHost: 10.0.0.2:7\r\n\r\nin haste, ")
		r := bufio.NewReader(p)
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 200 {
			t.Fatalf("CONNECT: %v, %v", res, err)
		}
		fmt.Fprint(p, "and more")
		if err := p.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(r); string(all) != "in haste, and more" || err != nil {
			t.Errorf("the HTTP proxy gives %q, %v", all, err)
		}
		stream, err := alice.dial().Connect(t.Context(), "web:7")
		if err != nil {
			t.Fatal(err)
		}
		echoed(t, stream, "stream")
		if _, err := alice.dial().Connect(t.Context(), "web:81"); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("a stream to nobody: %v", err)
		}
	})

	t.Run("udp", func(t *testing.T) {
		c, err := net.Dial("udp", local+udp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		pingUDP(t, c, []byte("one"), []byte("one"))
		a := associate(t, local+socks)
		for _, to := range []string{"\x01\x0a\x00\x00\x02\x00\x07", "\x03\x10web.corp.example\x00\x07",
			"\x04\xfd\x00" + strings.Repeat("\x00", 13) + "\x02\x00\x07"} {
			out := []byte("\x00\x00\x00" + to + "payload")
			got := pingUDP(t, a, out, nil)
			if !bytes.HasSuffix(got, []byte("\x00\x07payload")) || got[3] == 3 {
				t.Errorf("to %q came back %q", to, got)
			}
		}
	})

	t.Run("remote", func(t *testing.T) {
		go func() {
			c, err := host.Accept()
			if err != nil {
				return
			}
			all, _ := io.ReadAll(c)
			_, _ = c.Write(all)
			_ = c.Close()
		}()
		c, err := bob.Net().DialContext(t.Context(), "tcp", "10.0.0.1:2222")
		if err != nil {
			t.Fatal(err)
		}
		echoed(t, c, "remote")
		// Nobody listens behind this one: it ends, refused or soon after.
		c, err = bob.Net().DialContext(t.Context(), "tcp", "10.0.0.1:2223")
		if err != nil {
			return
		}
		defer c.Close()
		if err := c.SetDeadline(patience.Deadline()); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := io.ReadAll(c); errors.As(err, &timeout) && timeout.Timeout() {
			t.Error("a connection to nobody stays")
		}
	})

	t.Run("dns", func(t *testing.T) {
		for network, want := range map[string]bool{"udp": true, "tcp": false} {
			q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{{
				Name: dnsmessage.MustNewName("long.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
			b, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			reply := askDNS(t, network, local+named, b)
			var m dnsmessage.Message
			if err := m.Unpack(reply); err != nil || m.ID != 7 || m.Truncated != want || len(m.Answers) == 0 != want {
				t.Errorf("%s: %v, %+v", network, err, m)
			}
		}
	})

	// Streams through the control socket. The others have theirs in the lab.
	t.Run("many", func(t *testing.T) {
		many := 1000
		if testing.Short() {
			many = 100 // under the race detector the stack gives up on some
		}
		control := alice.dial()
		payload := bytes.Repeat([]byte("0123456789"), 200)
		var open, done sync.WaitGroup
		open.Add(many) // all of them at once
		for range many {
			done.Go(func() {
				c, err := control.Connect(t.Context(), "web:7")
				if err == nil {
					defer c.Close()
					_, err = c.Write(payload)
				}
				open.Done()
				open.Wait()
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Error(err)
				}
				if all, err := io.ReadAll(c); !bytes.Equal(all, payload) || err != nil {
					t.Errorf("%d bytes came back, %v", len(all), err)
				}
			})
		}
		done.Wait()
	})

	// Some megabytes each way at once, of which none is another. The lab has more.
	t.Run("bulk", func(t *testing.T) {
		const size = int64(6 << 20)
		l := bob.listen(":9")
		sums := make(chan [sha256.Size]byte, 2)
		exchange := func(c net.Conn, seed uint64) {
			defer c.Close()
			var sending sync.WaitGroup
			sending.Go(func() {
				_, err := io.CopyN(c, randomBytes(seed), size)
				if err == nil {
					err = c.(interface{ CloseWrite() error }).CloseWrite()
				}
				if err != nil {
					t.Errorf("send: %v", err)
				}
			})
			h := sha256.New()
			if n, err := io.Copy(h, c); n != size || err != nil {
				t.Errorf("received %d bytes, %v", n, err)
			}
			sending.Wait()
			sums <- [sha256.Size]byte(h.Sum(nil))
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				exchange(c, 1)
			}
		}()
		go exchange(socksConnect(t, local+socks, "10.0.0.2:9"), 2)
		want := map[[sha256.Size]byte]bool{}
		for _, seed := range []uint64{1, 2} {
			h := sha256.New()
			_, _ = io.CopyN(h, randomBytes(seed), size) // neither fails
			want[[sha256.Size]byte(h.Sum(nil))] = true
		}
		for range 2 {
			delete(want, <-sums)
		}
		if len(want) > 0 {
			t.Error("what arrived is not what was sent")
		}
	})

	t.Run("malformed", func(t *testing.T) {
		for _, text := range []string{"", "\x04\x01\x00\x50\x0a\x00\x00\x02\x00", "\x05\xff", "GET / HTTP/1.1\r\n\r\n",
			"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50",
			"\x05\x01\x00\x05\x02\x00\x01\x0a\x00\x00\x02\x00\x50", "\x05\x01\x00\x05\x01\x00\x09"} {
			c := dialLocal(t, socks)
			_, _ = io.WriteString(c, text)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.ReadAll(c) // its end is what counts
		}
	})

	// A client that vanishes, and one that is there still, do not keep the node.
	gone := dialLocal(t, tcp)
	_, _ = io.WriteString(gone, "x")
	_ = gone.(*net.TCPConn).SetLinger(0)
	_ = gone.Close()
	_, _ = io.WriteString(dialLocal(t, tcp), "x")
	if err := alice.stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", local+socks); err == nil {
		t.Error("the SOCKS5 proxy still listens")
	}
}

// A reload leaves alone what stays, and is all or nothing.
func TestReloadServices(t *testing.T) {
	stays, goes, comes := "127.0.0.1:"+localPort(t), "127.0.0.1:"+localPort(t), "127.0.0.1:"+localPort(t)
	alice, _ := nearSide(t, config.Services{
		Forwards: []config.Forward{{Protocol: "tcp", Listen: stays, To: "10.0.0.2:7"}},
		SOCKS5:   []config.Proxy{{Listen: goes}}})
	_, port, _ := net.SplitHostPort(stays)
	c := dialLocal(t, port)
	if _, err := io.WriteString(c, "before, "); err != nil {
		t.Fatal(err)
	}
	cfg := *alice.Config()
	cfg.Services.SOCKS5 = []config.Proxy{{Listen: goes, User: "a", Password: "b"}}
	cfg.Services.HTTP = []config.Proxy{{Listen: comes}}
	var out bytes.Buffer
	if err := alice.Reload(t.Context(), &cfg, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[#] no SOCKS5 proxy at " + goes, "[#] SOCKS5 proxy at " + goes, "[#] HTTP proxy at " + comes} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), stays) {
		t.Errorf("the forward was disturbed:\n%s", out.String())
	}
	_, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: goes})}}).Get("http://10.0.0.2/")
	if err == nil {
		t.Error("the proxy wants no password")
	}
	bad := cfg
	bad.Services.HTTP = nil
	bad.Services.DNS = []string{"192.0.2.1:53"} // not this host's
	if err := alice.Reload(t.Context(), &bad, io.Discard); err == nil || !strings.Contains(err.Error(), "DNS forwarder at 192.0.2.1:53") {
		t.Errorf("an address of another host: %v", err)
	}
	through := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: comes})}, Timeout: 20 * time.Second}
	res, err := through.Get("http://10.0.0.2/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	echoedRest(t, c, "and after", "before, and after")
}

func echoedRest(t *testing.T, c net.Conn, more, want string) {
	t.Helper()
	if _, err := io.WriteString(c, more); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(c); string(all) != want || err != nil {
		t.Errorf("%q came back, %v", all, err)
	}
}

// A service listens where it is told, and nowhere else.
func TestListenHere(t *testing.T) {
	for _, test := range []struct {
		at string
		v6 bool
	}{{"127.0.0.1:0", false}, {"0.0.0.0:0", false}, {"[::]:0", true}} {
		l, err := listenHere("tcp", test.at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := listenPacketHere("udp", test.at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, a := range []net.Addr{l.Addr(), c.LocalAddr()} {
			if got := strings.HasPrefix(a.String(), "["); got != test.v6 {
				t.Errorf("told %s it listens at %s", test.at, a)
			}
		}
	}
}

// What would do nothing is refused, and what cannot be had undoes the rest.
func TestServicesRefused(t *testing.T) {
	own := key.GeneratePrivate().Base64()
	socks := config.Services{SOCKS5: []config.Proxy{{Listen: "127.0.0.1:0"}}}
	cfg := parse(t, "wg0", "[Interface]\nPrivateKey="+own+"\nAddress=10.0.0.1/24\n")
	dir := t.TempDir()
	for _, test := range []struct {
		options Options
		want    string
	}{
		{Options{Services: socks}, "socks5: only a node with a network stack of its own has services"},
		{Options{Netstack: true, Services: config.Services{DNS: []string{"127.0.0.1:0"}}}, "dns: the configuration names no name servers"},
		{Options{Netstack: true, Services: config.Services{SOCKS5: socks.SOCKS5,
			RemoteForwards: []config.Forward{{Protocol: "tcp", Listen: "10.9.9.9:1", To: "a:1"}}}},
			"remote forward at 10.9.9.9:1: "},
	} {
		test.options.RunDir, test.options.NoUAPI = dir, true
		n, err := Start(context.Background(), cfg, test.options)
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
