package socks5

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/wgnode/wgnode/node/internal/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nowhere is a network in which everything is refused.
type nowhere struct{ t *testing.T }

func (n nowhere) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil || network != "tcp" {
		n.t.Errorf("dials %s %q: %v", network, address, err)
	}
	return nil, syscall.ECONNREFUSED
}

func (nowhere) ListenPacket(string, string) (net.PacketConn, error) { return nil, syscall.EACCES }

func (nowhere) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

// said returns what a client gets that sends this and no more.
func said(t *testing.T, c proxy.Credentials, text []byte) []byte {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, nowhere{t}, c, proxy.Options{}) }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, _ = client.Write(text) // the server may have heard enough
	_ = client.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(client) // ends by itself, with a reset if not all was read
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	return got
}

func TestReplies(t *testing.T) {
	known := proxy.Credentials{User: "u", Password: "p"}
	none := strings.Repeat("\x00", 6)
	for _, test := range []struct {
		name  string
		creds proxy.Credentials
		text  string
		want  string
	}{
		{name: "refused", creds: proxy.Credentials{}, text: "\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x02\x00\x50",
			want: "\x05\x00\x05\x05\x00\x01" + none},
		{name: "by name", creds: proxy.Credentials{}, text: "\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x50", want: "\x05\x00\x05\x05\x00\x01" + none},
		{name: "BIND", creds: proxy.Credentials{}, text: "\x05\x01\x00\x05\x02\x00\x01\x0a\x00\x00\x02\x00\x50",
			want: "\x05\x00\x05\x07\x00\x01" + none},
		{name: "type of address", creds: proxy.Credentials{}, text: "\x05\x01\x00\x05\x01\x00\x09", want: "\x05\x00\x05\x08\x00\x01" + none},
		{name: "bad name", creds: proxy.Credentials{}, text: "\x05\x01\x00\x05\x01\x00\x03\x03a\nb\x00\x50",
			want: "\x05\x00\x05\x01\x00\x01" + none},
		{name: "method", creds: known, text: "\x05\x01\x00", want: "\x05\xff"},
		{name: "password", creds: known, text: "\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x04" + strings.Repeat("\x00", 16) + "\x00\x50",
			want: "\x05\x02\x01\x00\x05\x05\x00\x01" + none},
		{name: "wrong password", creds: known, text: "\x05\x01\x02\x01\x01u\x01q\x05\x01\x00\x01\x0a\x00\x00\x02\x00\x50",
			want: "\x05\x02\x01\x01"},
		{name: "wrong user", creds: known, text: "\x05\x01\x02\x01\x00\x01p", want: "\x05\x02\x01\x01"},
		{name: "version 4", creds: proxy.Credentials{}, text: "\x04\x01\x00\x50"},
	} {
		if got := said(t, test.creds, []byte(test.text)); string(got) != test.want {
			t.Errorf("%s: %x, want %x", test.name, got, test.want)
		}
	}
}

// Whatever a client sends, it gets an end, and nothing is dialed that has no
// port.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{"\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x02\x00\x50",
		"\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x05\x01\x02\x01\x01u\x01p", "\x05\x00", "\x05\x01\x00\x05\x01\x00\x03\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { said(t, proxy.Credentials{}, text) })
}

// What is read of an address is written back the same, and is one.
func FuzzTarget(f *testing.F) {
	f.Add([]byte("\x01\x0a\x00\x00\x02\x00\x50"))
	f.Add([]byte("\x03\x01a\x00\x50"))
	f.Add([]byte("\x04" + strings.Repeat("\x20", 16) + "\x00\x50"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		to, err := readTarget(r)
		if err != nil {
			return
		}
		host, _, err := net.SplitHostPort(to.String())
		if err != nil || host != to.host {
			t.Errorf("%q is %q, %v", b, to, err)
		}
		addr, err := netip.ParseAddr(to.host)
		if err != nil || b[0] == typeName {
			return
		}
		again, err := readTarget(bytes.NewReader(appendAddr(nil, netip.AddrPortFrom(addr, to.port))))
		if err != nil || again != to {
			t.Errorf("%q became %q, %v", to, again, err)
		}
	})
}

// outlet is a network that notes where packets are sent.
type outlet struct {
	nowhere
	sent chan string
}

func (o outlet) ListenPacket(string, string) (net.PacketConn, error) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return noted{c, o.sent}, nil
}

type noted struct {
	net.PacketConn
	sent chan string
}

func (n noted) WriteTo(b []byte, to net.Addr) (int, error) {
	n.sent <- to.String() + " " + string(b)
	return len(b), nil
}

// Whatever datagram a client sends, it goes where its header says or nowhere, and the
// association goes on: what comes next is passed on.
func FuzzAssociation(f *testing.F) {
	for _, seed := range []string{"\x00\x00\x00\x01\x0a\x00\x00\x02\x00\x50hello", "\x00\x00\x01\x01\x0a\x00\x00\x02\x00\x50",
		"\x00\x00\x00\x03\x01a\x00\x50x", "\x00\x00\x00\x03\x08::000%00\x00\x50x",
		"\x00\x00\x00\x03\x0d::ffff:1.2.3.4\x00\x50x",
		"\x00\x00\x00\x03\x00\x00\x50x", "\x00\x00\x00\x04" + strings.Repeat("\x20", 16) + "\x00\x50y", "\x00\x00\x00\x03\xff", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > 60000 {
			return // more than loopback takes at once
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan string, 2)
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- Serve(ctx, l, outlet{nowhere{t}, sent}, proxy.Credentials{}, proxy.Options{}) }()
		defer func() {
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
		}()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		reply := make([]byte, 2+10)
		if _, err := client.Write([]byte("\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, reply); err != nil {
			t.Fatal(err)
		}
		port := int(reply[10])<<8 | int(reply[11])
		u, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		for _, b := range [][]byte{packet, []byte("\x00\x00\x00\x01\x0a\x00\x00\x09\x00\x35end")} {
			if _, err := u.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		const end = "10.0.0.9:53 end"
		first := <-sent
		if first == end {
			return // the one before was not passed on
		}
		r := bytes.NewReader(packet[min(3, len(packet)):])
		to, err := readTarget(r)
		if err != nil || packet[2] != 0 || first != to.String()+" "+string(packet[len(packet)-r.Len():]) {
			t.Errorf("%x was sent as %q", packet, first)
		}
		if next := <-sent; next != end {
			t.Errorf("after it %q is sent", next)
		}
	})
}
