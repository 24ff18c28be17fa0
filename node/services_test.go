package node

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/wgnode/wgnode/node/config"
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

// servicesBed is a near side with every service, and the far side. The texts are ports
// on the near side's loopback.
type servicesBed struct {
	socks, guarded, web, webGuarded, tcp, udp, named string

	host  net.Listener // behind the first remote forward
	alice *stackNode
	bob   *farSide
}

const loopback = "127.0.0.1:"

func newServicesBed(t *testing.T) *servicesBed {
	t.Helper()
	bed := &servicesBed{socks: localPort(t), guarded: localPort(t), web: localPort(t), webGuarded: localPort(t),
		tcp: localPort(t), udp: localPort(t), named: localPort(t)}
	var err error
	if bed.host, err = net.Listen("tcp", loopback+"0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bed.host.Close() })
	bed.alice, bed.bob = nearSide(t, config.Services{
		SOCKS5: []config.Proxy{{Listen: loopback + bed.socks}, {Listen: loopback + bed.guarded, User: "alice", Password: "open sesame"}},
		HTTP:   []config.Proxy{{Listen: loopback + bed.web}, {Listen: loopback + bed.webGuarded, User: "alice", Password: "open sesame"}},
		Forwards: []config.Forward{{Protocol: "tcp", Listen: loopback + bed.tcp, To: "web:7"},
			{Protocol: "udp", Listen: loopback + bed.udp, To: "web.corp.example:7"}},
		RemoteForwards: []config.Forward{{Protocol: "tcp", Listen: ":2222", To: bed.host.Addr().String()},
			{Protocol: "tcp", Listen: "10.0.0.1:2223", To: loopback + "1"}},
		DNS: []string{loopback + bed.named},
	})
	return bed
}

func testServices(t *testing.T) {
	bed := newServicesBed(t)
	t.Run("curl", bed.curl)
	t.Run("half-close", bed.halfClose)
	t.Run("udp", bed.datagrams)
	t.Run("remote", bed.remote)
	t.Run("dns", bed.askNames)
	t.Run("many", bed.many)
	t.Run("bulk", bed.bulk)
	t.Run("malformed", bed.malformed)

	// A client that vanishes, and one that is there still, do not keep the node.
	gone := dialLocal(t, bed.tcp)
	_, _ = io.WriteString(gone, "x")
	_ = gone.(*net.TCPConn).SetLinger(0)
	_ = gone.Close()
	_, _ = io.WriteString(dialLocal(t, bed.tcp), "x")
	if err := bed.alice.stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", loopback+bed.socks); err == nil {
		t.Error("the SOCKS5 proxy still listens")
	}
}

// curl asks the proxies for pages, and for what there is not.
func (bed *servicesBed) curl(t *testing.T) {
	for _, test := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"--socks5-hostname", loopback + bed.socks, "http://web.corp.example/"}, "hello GET web.corp.example", 0},
		{[]string{"--socks5-hostname", loopback + bed.socks, "http://web/"}, "hello GET web", 0}, // by the search domain
		{[]string{"--socks5-hostname", loopback + bed.socks, "http://long.example/"}, "hello GET long.example", 0},
		{[]string{"--socks5", loopback + bed.socks, "http://10.0.0.2/"}, "hello GET 10.0.0.2", 0},
		{[]string{"--socks5", loopback + bed.socks, "http://[fd00::2]/"}, "hello GET [fd00::2]", 0},
		{[]string{"--socks5", loopback + bed.socks, "http://10.0.0.2:81/"}, "(5)", 97}, // refused
		{[]string{"--socks5", loopback + bed.socks, "http://192.0.2.1/"}, "(3)", 97},   // in no AllowedIPs
		{[]string{"--socks5-hostname", loopback + bed.socks, "http://nowhere.example/"}, "(4)", 97},
		{[]string{"--socks5-hostname", loopback + bed.guarded, "-U", "alice:open sesame", "http://web/"}, "hello GET web", 0},
		{[]string{"--socks5-hostname", "alice:wrong@" + loopback + bed.guarded, "http://web/"}, "rejected", 97},
		{[]string{"--socks5-hostname", loopback + bed.guarded, "http://web/"}, "", 97},
		{[]string{"-x", "http://" + loopback + bed.web, "http://web/"}, "hello GET web", 0},
		{[]string{"-x", "http://" + loopback + bed.web, "-d", "body", "http://web.corp.example/x?a;b"}, "hello POST web.corp.example body", 0},
		{[]string{"-x", "http://" + loopback + bed.web, "-p", "http://[fd00::2]/"}, "hello GET [fd00::2]", 0},
		{[]string{"-x", "http://" + loopback + bed.web, "http://10.0.0.2:81/"}, "connection refused", 0},
		{[]string{"-x", "http://" + loopback + bed.web, "-p", "http://10.0.0.2:81/"}, "502", 56},
		{[]string{"-x", "http://" + loopback + bed.web, "-w", "%{http_code}", "http://192.0.2.1/"},
			"192.0.2.1 is in no peer's AllowedIPs: network is unreachable\n502", 0},
		{[]string{"-x", "http://" + loopback + bed.webGuarded, "-U", "alice:open sesame", "http://web/"}, "hello GET web", 0},
		{[]string{"-x", "http://" + loopback + bed.webGuarded, "-U", "alice:open sesame", "-p", "http://web/"}, "hello GET web", 0},
		{[]string{"-x", "http://" + loopback + bed.webGuarded, "-U", "alice:sesame", "-w", "%{http_code}", "http://web/"}, "407", 0},
		{[]string{"-x", "http://" + loopback + bed.webGuarded, "-p", "http://web/"}, "407", 56},
		{[]string{"http://" + loopback + bed.web + "/"}, "this is a proxy", 0},
	} {
		out, status := curl(t, test.args...)
		if !strings.Contains(out, test.want) || status != test.status {
			t.Errorf("curl %v: status %d, want %d and %q in\n%s", test.args, status, test.status, test.want, out)
		}
	}
}

// halfClose sends all before it reads, through each service that carries streams.
func (bed *servicesBed) halfClose(t *testing.T) {
	c := dialLocal(t, bed.tcp)
	echoed(t, c, "forward")
	s := socksConnect(t, loopback+bed.socks, "10.0.0.2:7")
	echoed(t, s, "socks")
	p := dialLocal(t, bed.web)
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
	stream, err := bed.alice.dial().Connect(t.Context(), "web:7")
	if err != nil {
		t.Fatal(err)
	}
	echoed(t, stream, "stream")
	if _, err := bed.alice.dial().Connect(t.Context(), "web:81"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("a stream to nobody: %v", err)
	}
}

// datagrams go through the forward and through the SOCKS5 proxy.
func (bed *servicesBed) datagrams(t *testing.T) {
	c, err := net.Dial("udp", loopback+bed.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pingUDP(t, c, []byte("one"), []byte("one"))
	a := associate(t, loopback+bed.socks)
	for _, to := range []string{"\x01\x0a\x00\x00\x02\x00\x07", "\x03\x10web.corp.example\x00\x07",
		"\x04\xfd\x00" + strings.Repeat("\x00", 13) + "\x02\x00\x07"} {
		out := []byte("\x00\x00\x00" + to + "payload")
		got := pingUDP(t, a, out, nil)
		if !bytes.HasSuffix(got, []byte("\x00\x07payload")) || got[3] == 3 {
			t.Errorf("to %q came back %q", to, got)
		}
	}
}

// remote connects from the far side to what the near side forwards.
func (bed *servicesBed) remote(t *testing.T) {
	go func() {
		c, err := bed.host.Accept()
		if err != nil {
			return
		}
		all, _ := io.ReadAll(c)
		_, _ = c.Write(all)
		_ = c.Close()
	}()
	c, err := bed.bob.Net().DialContext(t.Context(), "tcp", "10.0.0.1:2222")
	if err != nil {
		t.Fatal(err)
	}
	echoed(t, c, "remote")
	// Nobody listens behind this one: it ends, refused or soon after.
	c, err = bed.bob.Net().DialContext(t.Context(), "tcp", "10.0.0.1:2223")
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
}

// askNames asks the DNS forwarder: a long answer takes TCP.
func (bed *servicesBed) askNames(t *testing.T) {
	for network, want := range map[string]bool{"udp": true, "tcp": false} {
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName("long.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		b, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply := askDNS(t, network, loopback+bed.named, b)
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil || m.ID != 7 || m.Truncated != want || len(m.Answers) == 0 != want {
			t.Errorf("%s: %v, %+v", network, err, m)
		}
	}
}

// many streams are open at once, through the control socket. The other services have
// theirs in the lab.
func (bed *servicesBed) many(t *testing.T) {
	many := 1000
	if testing.Short() {
		many = 100 // under the race detector the stack gives up on some
	}
	control := bed.alice.dial()
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
}

// bulk is some megabytes each way at once, of which none is another. The lab has more.
func (bed *servicesBed) bulk(t *testing.T) {
	const size = int64(6 << 20)
	l := bed.bob.listen(":9")
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
	go exchange(socksConnect(t, loopback+bed.socks, "10.0.0.2:9"), 2)
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
}

// malformed sends the services what is no request.
func (bed *servicesBed) malformed(t *testing.T) {
	for _, text := range []string{"", "\x04\x01\x00\x50\x0a\x00\x00\x02\x00", "\x05\xff", "GET / HTTP/1.1\r\n\r\n",
		"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50",
		"\x05\x01\x00\x05\x02\x00\x01\x0a\x00\x00\x02\x00\x50", "\x05\x01\x00\x05\x01\x00\x09"} {
		c := dialLocal(t, bed.socks)
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(c) // its end is what counts
	}
}
