package httpproxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/probe/patience"
)

func TestMain(m *testing.M) {
	// net/http gives a client half a second to hear why it was cut off.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

func start(t *testing.T, c proxy.Credentials, o proxy.Options) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, proxy.Host{}, c, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(patience.Deadline()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnswers(t *testing.T) {
	addr := start(t, proxy.Credentials{}, proxy.Options{})
	guarded := start(t, proxy.Credentials{User: "alice", Password: "open sesame"}, proxy.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	auth := func(text string) string { return "Proxy-Authorization: " + text + "\r\n" }
	for _, test := range []struct {
		name, addr, head, want string
	}{
		{name: "refused", addr: addr, head: "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n", want: "502 Bad Gateway"},
		{name: "refused, plain", addr: addr, head: "GET http://" + closed + "/ HTTP/1.1\r\nHost: x\r\n", want: "502 Bad Gateway"},
		{name: "no port", addr: addr, head: "CONNECT example.com HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "no port in colons", addr: addr, head: "CONNECT example.com: HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "port of words", addr: addr, head: "CONNECT example.com:http HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "port 0", addr: addr, head: "CONNECT example.com:0 HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "no host", addr: addr, head: "CONNECT :80 HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "bracket", addr: addr, head: "GET http://] HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "no host, plain", addr: addr, head: "GET http://:80/ HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "port 0, plain", addr: addr, head: "GET http://example.com:0/ HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "large port, plain", addr: addr, head: "GET http://example.com:65536/ HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "a server's request", addr: addr, head: "GET / HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "another scheme", addr: addr, head: "GET ftp://" + closed + "/ HTTP/1.1\r\nHost: x\r\n", want: "400 Bad Request"},
		{name: "no HTTP", addr: addr, head: "hello\r\n", want: "400 Bad Request"},
		{name: "endless head", addr: addr, head: "GET http://" + closed + "/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeader) +
			"\r\n", want: "431 Request Header Fields Too Large"},
		{name: "no password", addr: guarded, head: "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n", want: "407 Proxy Authentication Required"},
		{name: "wrong password", addr: guarded, head: "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("Basic YWxpY2U6eA=="),
			want: "407 Proxy Authentication Required"},
		{name: "wrong scheme", addr: guarded, head: "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("Bearer YWxpY2U6b3BlbiBzZXNhbWU="),
			want: "407 Proxy Authentication Required"},
		{name: "no base64", addr: guarded, head: "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("Basic alice:open sesame"),
			want: "407 Proxy Authentication Required"},
		{name: "password", addr: guarded, head: "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" +
			auth("basic YWxpY2U6b3BlbiBzZXNhbWU="), want: "502 Bad Gateway"},
	} {
		c := dial(t, test.addr)
		go func() { _, _ = io.WriteString(c, test.head+"\r\n") }() // the server may have heard enough
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil && test.name != "endless head" {
			t.Errorf("%s: %v", test.name, err)
		}
		if res.Status != test.want {
			t.Errorf("%s: %s, want %s", test.name, res.Status, test.want)
		}
		_ = c.Close()
	}
}

// Who does not say what he wants is not waited for, nor for him who says no
// more once there is room for one only.
func TestSlowClient(t *testing.T) {
	addr := start(t, proxy.Credentials{}, proxy.Options{HandshakeTime: 20 * time.Millisecond, MaxConns: 1})
	slow, next := dial(t, addr), dial(t, addr)
	if _, err := io.WriteString(slow, "CONNECT exa"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(next, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(next), nil)
	if err != nil || res.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v, %v", res, err)
	}
}
