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

	"github.com/wgnode/wgnode/node/proxy"
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
		{"refused", addr, "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n", "502 Bad Gateway"},
		{"refused, plain", addr, "GET http://" + closed + "/ HTTP/1.1\r\nHost: x\r\n", "502 Bad Gateway"},
		{"no port", addr, "CONNECT example.com HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"no port in colons", addr, "CONNECT example.com: HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"port of words", addr, "CONNECT example.com:http HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"port 0", addr, "CONNECT example.com:0 HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"no host", addr, "CONNECT :80 HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"bracket", addr, "GET http://] HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"no host, plain", addr, "GET http://:80/ HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"port 0, plain", addr, "GET http://example.com:0/ HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"large port, plain", addr, "GET http://example.com:65536/ HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"a server's request", addr, "GET / HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"another scheme", addr, "GET ftp://" + closed + "/ HTTP/1.1\r\nHost: x\r\n", "400 Bad Request"},
		{"no HTTP", addr, "hello\r\n", "400 Bad Request"},
		{"endless head", addr, "GET http://" + closed + "/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeader) +
			"\r\n", "431 Request Header Fields Too Large"},
		{"no password", guarded, "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n", "407 Proxy Authentication Required"},
		{"wrong password", guarded, "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("Basic YWxpY2U6eA=="),
			"407 Proxy Authentication Required"},
		{"wrong scheme", guarded, "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("Bearer YWxpY2U6b3BlbiBzZXNhbWU="),
			"407 Proxy Authentication Required"},
		{"no base64", guarded, "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("Basic alice:open sesame"),
			"407 Proxy Authentication Required"},
		{"password", guarded, "CONNECT " + closed + " HTTP/1.1\r\nHost: x\r\n" + auth("basic YWxpY2U6b3BlbiBzZXNhbWU="), "502 Bad Gateway"},
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
