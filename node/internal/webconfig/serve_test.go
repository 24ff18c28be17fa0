package webconfig

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"golang.org/x/time/rate"

	"github.com/wgnode/wgnode/node/internal/webconfig/webtest"
	"github.com/wgnode/wgnode/probe/patience"
)

// serve has a gate answer "ok" at an address of loopback until the test ends.
func serve(t *testing.T, c *Config) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(l, c)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }),
		ReadHeaderTimeout: patience.Limit()}
	g.Serve(srv)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(g) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return g
}

// get returns the status, 0 if there is none.
func get(t *testing.T, c *http.Client, g *Gate, scheme, user, password string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+g.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Logf("%s: %v", user, err)
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// Who has the password is answered, over TLS alone.
func TestPasswords(t *testing.T) {
	dir := t.TempDir()
	server := webtest.Pair(t, dir, "server")
	g := serve(t, readFile(t, webtest.Write(t, filepath.Join(dir, "web.yml"), webtest.TLS+
		webtest.User(t, "alice", "right")+"http_server_config:\n  headers:\n    X-Frame-Options: deny\n")))
	c := webtest.Client(t, patience.Limit(), server)
	for _, r := range []struct {
		scheme, user, password string
		want                   int
	}{
		{"https", "", "", 401}, {"https", "alice", "wrong", 401}, {"https", "bob", "right", 401}, {"https", "alice", "right", 200},
		{"https", "alice", "wrong", 401}, {"https", "alice", "right", 200}, {"https", "alice", "", 401}, {"http", "alice", "right", 400},
	} {
		if got := get(t, c, g, r.scheme, r.user, r.password); got != r.want {
			t.Errorf("%+v: %d", r, got)
		}
	}
	// A flood of wrong ones costs a bounded time, and who was right before is answered all the same.
	g.Config().users.limit = rate.NewLimiter(0, 1)
	for _, r := range []struct {
		password string
		want     int
	}{{"wrong", 401}, {"wrong", 429}, {"right", 200}} {
		if got := get(t, c, g, "https", "alice", r.password); got != r.want {
			t.Errorf("in a flood, %s: %d", r.password, got)
		}
	}
}

// A client certificate is as good as a password, if it is of the authority.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	server, known, stranger := webtest.Pair(t, dir, "server"), webtest.Pair(t, dir, "known"), webtest.Pair(t, dir, "stranger")
	g := serve(t, readFile(t, webtest.Write(t, filepath.Join(dir, "web.yml"), webtest.TLS+
		"  client_ca_file: known.crt\n  client_auth_type: RequireAndVerifyClientCert\n")))
	for _, c := range []struct {
		what string
		own  []tls.Certificate
		want int
	}{{"nobody", nil, 0}, {"a stranger", []tls.Certificate{stranger}, 0}, {"the known", []tls.Certificate{known}, 200}} {
		if got := get(t, webtest.Client(t, patience.Limit(), server, c.own...), g, "https", "", ""); got != c.want {
			t.Errorf("with the certificate of %s: %d", c.what, got)
		}
	}
}

// What replaces a configuration counts at once, also for who was connected before.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	old := webtest.Pair(t, dir, "server")
	path := webtest.Write(t, filepath.Join(dir, "web.yml"), webtest.TLS)
	g := serve(t, nil)
	plain := webtest.Client(t, patience.Limit(), old)
	if got := get(t, plain, g, "http", "", ""); got != 200 {
		t.Fatalf("without a file: %d", got)
	}
	g.Replace(readFile(t, path))
	if got := get(t, plain, g, "http", "", ""); got == 200 {
		t.Error("a connection of before is answered without TLS")
	}
	before := webtest.Client(t, patience.Limit(), old)
	if got := get(t, before, g, "https", "", ""); got != 200 {
		t.Fatalf("with TLS: %d", got)
	}
	renewed := webtest.Pair(t, dir, "server")
	g.Replace(readFile(t, path))
	if got := get(t, before, g, "https", "", ""); got == 200 {
		t.Error("the old certificate is still shown")
	}
	if got := get(t, webtest.Client(t, patience.Limit(), renewed), g, "https", "", ""); got != 200 {
		t.Errorf("with the renewed certificate: %d", got)
	}
	g.Replace(nil)
	if got := get(t, plain, g, "http", "", ""); got != 200 {
		t.Errorf("without a file again: %d", got)
	}
}
