package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe/overview"
	"github.com/wgnode/wgnode/probe/patience"
)

// nobody is a host without tunnels.
type nobody struct{}

func (nobody) Client(name string) (*control.Client, error) { return nil, errors.New("no " + name) }
func (nobody) Overview(context.Context, []string, overview.Request) *overview.Overview {
	return &overview.Overview{}
}

func newServer(t *testing.T, change func(*Options)) *Server {
	t.Helper()
	o := Options{Host: func(context.Context) Host { return nobody{} }}
	if change != nil {
		change(&o)
	}
	s := New(o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// request asks a server as the page would; change makes it something else.
func request(s *Server, method, path string, body io.Reader, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:7420"+s.secrets.base+path, body)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: s.secrets.session})
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		r.Header.Set("Origin", "http://127.0.0.1:7420")
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// The link lets a browser in, by a cookie, and leaves no secret in an address.
func TestLinkLetsIn(t *testing.T) {
	s := newServer(t, nil)
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	get := func(url string) (*http.Response, string) {
		t.Helper()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	for _, before := range []string{"/", "/?token=", "/?token=" + strings.Repeat("A", 26), s.secrets.base, s.secrets.base + "api/about"} {
		if res, _ := get(srv.URL + before); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) > 0 {
			t.Errorf("%s without the link: %s, cookies %v", before, res.Status, res.Cookies())
		}
	}
	res, page := get(srv.URL + "/?token=" + s.secrets.token)
	if res.StatusCode != http.StatusOK || res.Request.URL.String() != srv.URL+s.secrets.base || !strings.Contains(page, "assets/app.js") {
		t.Errorf("the link leads to %s: %s", res.Request.URL, res.Status)
	}
	if res, _ := get(srv.URL + s.secrets.base + "api/about"); res.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: %s", res.Status)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	res, _ = get(srv.URL + "/?token=" + s.secrets.token)
	c := res.Cookies()
	if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Path != s.secrets.base ||
		c[0].Value == s.secrets.token {
		t.Errorf("cookies: %v", c)
	}
	if strings.Contains(res.Header.Get("Location"), s.secrets.token) {
		t.Error("the token stays in the address")
	}
}

// A link in another page, or in a file, leads in as well, although a strict cookie does not come with
// that: the page is loaded once more, by itself.
func TestLinkFromElsewhere(t *testing.T) {
	s := newServer(t, nil)
	for site, want := range map[string]string{"cross-site": "0", "same-origin": "", "none": ""} {
		w := request(s, "GET", "", nil, func(r *http.Request) {
			r.Header.Del("Cookie")
			r.Header.Set("Sec-Fetch-Dest", "document")
			r.Header.Set("Sec-Fetch-Site", site)
		})
		if w.Code != http.StatusUnauthorized || w.Header().Get("Refresh") != want {
			t.Errorf("%s: %d, Refresh %q", site, w.Code, w.Header().Get("Refresh"))
		}
	}
}

// A browser that has not opened the link is told so on a page, a program in JSON.
func TestWithoutLink(t *testing.T) {
	s := newServer(t, nil)
	for _, c := range []struct{ name, value, want string }{
		{"Accept", "application/xhtml+xml,text/html;q=0.9,*/*;q=0.8", "text/html"},
		{"Sec-Fetch-Mode", "navigate", "text/html"},
		{"Accept", "*/*", "application/json"},
	} {
		w := request(s, "GET", "", nil, func(r *http.Request) {
			r.Header = http.Header{c.name: {c.value}}
		})
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusUnauthorized || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: %d, %s", c.name, c.value, w.Code, got)
		}
	}
}

// Who is not the page gets nothing, whatever the browser sends along.
func TestGuard(t *testing.T) {
	s := newServer(t, nil)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for name, c := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"the page":                {"GET", "api/about", nil, 200},
		"not a browser":           {"GET", "api/about", func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, 200},
		"by localhost":            {"GET", "api/about", host("localhost:7420"), 200},
		"by IPv6":                 {"GET", "api/about", host("[::1]:7420"), 200},
		"no cookie":               {"GET", "api/about", func(r *http.Request) { r.Header.Del("Cookie") }, 401},
		"another cookie":          {"GET", "api/about", header("Cookie", cookieName+"="+s.secrets.token), 401},
		"rebound name":            {"GET", "api/about", host("attacker.example:7420"), 421},
		"another address":         {"GET", "api/about", host("192.0.2.1:7420"), 421},
		"no host":                 {"GET", "api/about", host(""), 421},
		"from another site":       {"GET", "api/about", header("Sec-Fetch-Site", "cross-site"), 403},
		"from another port":       {"GET", "api/about", header("Sec-Fetch-Site", "same-site"), 403},
		"question":                {"POST", "api/explain", nil, 400},
		"question of no page":     {"POST", "api/explain", func(r *http.Request) { r.Header.Del("Origin") }, 403},
		"question of another one": {"POST", "api/explain", header("Origin", "http://127.0.0.1:8000"), 403},
		"question of a sandbox":   {"POST", "api/explain", header("Origin", "null"), 403},
		"question of a form":      {"POST", "api/explain", header("Content-Type", "text/plain"), 400},
		"another method":          {"PUT", "api/explain", nil, 405},
		"question by GET":         {"GET", "api/explain", nil, 405},
		"no such question":        {"GET", "api/nothing", nil, 404},
		"asset":                   {"GET", "assets/app.js", nil, 200},
		"no such asset":           {"GET", "assets/../guard.go", nil, 404},
		"view":                    {"GET", "peer?tunnel=x&key=y", nil, 200},
	} {
		w := request(s, c.method, c.path, strings.NewReader("{}"), c.change)
		if w.Code != c.want && !(name == "no such asset" && w.Code/100 == 3) {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
		for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store"} {
			if got := w.Header().Get(k); got != want {
				t.Errorf("%s: %s: %q", name, k, got)
			}
		}
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy %q", name, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %q", name, csp)
		}
	}
}

// Where other hosts may ask, they do so by an address, which no name server gives.
func TestRemoteHosts(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Remote = true })
	for host, want := range map[string]int{"192.0.2.1:7420": 200, "[2001:db8::1]:7420": 200, "attacker.example": 421} {
		if w := request(s, "GET", "api/about", nil, func(r *http.Request) { r.Host = host }); w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

// Nothing is changed unless that was allowed, and then only what an explanation of this server said.
func TestChangesNothing(t *testing.T) {
	for _, question := range []string{"fix/plan", "fix/apply", "reload"} {
		s := newServer(t, nil)
		w := request(s, "POST", "api/"+question, strings.NewReader(`{}`), nil)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "--allow-changes") {
			t.Errorf("%s: %d %s", question, w.Code, w.Body)
		}
		s = newServer(t, func(o *Options) { o.Changes = &Changes{} })
		w = request(s, "POST", "api/"+question, strings.NewReader(`{"id":"mine","steps":[{"kind":"command","command":"id"}]}`), nil)
		if w.Code != 400 {
			t.Errorf("%s with steps of its own: %d %s", question, w.Code, w.Body)
		}
	}
}

// What is asked has bounds.
func TestBounds(t *testing.T) {
	s := newServer(t, nil)
	if w := request(s, "POST", "api/explain", strings.NewReader(`{"dest":"`+strings.Repeat("a", maxBody)+`"}`), nil); w.Code != 400 {
		t.Errorf("a long question: %d", w.Code)
	}
	octets := func(r *http.Request) { r.Header.Set("Content-Type", "application/octet-stream") }
	if w := request(s, "POST", "api/recordings?name=x", strings.NewReader("x"), func(r *http.Request) {
		octets(r)
		r.ContentLength = maxUpload + 1
	}); w.Code != 400 {
		t.Errorf("a long recording: %d %s", w.Code, w.Body)
	}
	if w := request(s, "POST", "api/recordings?name=x", strings.NewReader("x"), func(r *http.Request) {
		octets(r)
		r.ContentLength = -1
	}); w.Code != 400 {
		t.Errorf("a recording of no length: %d %s", w.Code, w.Body)
	}
	for i := range maxFiles + 1 {
		w := request(s, "POST", "api/recordings?name=x", strings.NewReader("x"), octets)
		if want := map[bool]int{true: 200, false: 400}[i < maxFiles]; w.Code != want {
			t.Fatalf("recording %d: %d %s", i, w.Code, w.Body)
		}
	}
	for range maxStreams {
		s.streams <- struct{}{}
	}
	if w := request(s, "GET", "api/live/overview", nil, nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one stream too many: %d", w.Code)
	}
}

// A file that is dropped onto the page has no name on this host, and is gone when it is removed. Its
// name there leads nowhere else.
func TestDroppedFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := newServer(t, nil)
	w := request(s, "POST", "api/recordings?name=..%2F..%2Fetc%2Fx.pcapng", bytes.NewReader(make([]byte, 100)), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/octet-stream")
	})
	var f file
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || f.Name != "x.pcapng" || f.Size != 100 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if !strings.Contains(f.Error, "x.pcapng") || strings.Contains(f.Error, "/proc") {
		t.Errorf("why it is none: %s", f.Error)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("there is %v, %v", left, err)
	}
	content := s.files.list()[0].content
	if w := request(s, "DELETE", "api/recordings/"+f.ID, nil, nil); w.Code != 200 {
		t.Errorf("remove: %d %s", w.Code, w.Body)
	}
	if _, err := content.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("it is still open: %v", err)
	}
	if s.files.space != 0 {
		t.Errorf("%d bytes are still taken", s.files.space)
	}
}

// An address that others can reach is refused, a socket is for this user alone, and where nothing
// is said a port that is taken is no obstacle.
func TestListen(t *testing.T) {
	for _, at := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:7420"} {
		if _, err := Listen(at, false); !errors.Is(err, ErrRemote) {
			t.Errorf("%s: %v", at, err)
		}
	}
	if _, err := Listen("localhost", false); err == nil || errors.Is(err, ErrRemote) {
		t.Errorf("no port: %v", err)
	}
	path := filepath.Join(t.TempDir(), "web.sock")
	l, err := Listen("unix:"+path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	l, err = Listen("0.0.0.0:0", true)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first, err := Listen("", false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := Listen("", false)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
}

// This host is looked at while somebody does, by one for all.
func TestLooksWhileSomebodyDoes(t *testing.T) {
	var begun []context.Context
	s := newServer(t, func(o *Options) {
		o.Host = func(ctx context.Context) Host {
			begun = append(begun, ctx)
			return nobody{}
		}
	})
	_, done := s.looking.use()
	_, again := s.looking.use()
	if len(begun) != 1 {
		t.Fatalf("begun %d times", len(begun))
	}
	done()
	done()
	s.looking.expire()
	if begun[0].Err() != nil {
		t.Fatal("ended while it is used")
	}
	again()
	s.looking.expire()
	patience.Receive(t, "the end of what is looked at", begun[0].Done())
	_, done = s.looking.use()
	defer done()
	if len(begun) != 2 || begun[1].Err() != nil {
		t.Errorf("begun %d times", len(begun))
	}
}

// All files of the page are served as what they are, and none has what the policy forbids.
func TestAssets(t *testing.T) {
	s := newServer(t, nil)
	entries, err := embedded.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, e := range entries {
		w := request(s, "GET", "assets/"+e.Name(), nil, nil)
		if w.Code != 200 || strings.HasPrefix(w.Header().Get("Content-Type"), ";") {
			t.Errorf("%s: %d, of type %q", e.Name(), w.Code, w.Header().Get("Content-Type"))
		}
		text := w.Body.String()
		whole += len(text)
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "//cdn"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", e.Name(), bad)
			}
		}
		if n := strings.Count(text, "\n"); n > 400 {
			t.Errorf("%s has %d lines", e.Name(), n)
		}
		if strings.HasSuffix(e.Name(), ".html") && slices.ContainsFunc([]string{"style=", "onclick", "<script>", "<style"}, func(b string) bool {
			return strings.Contains(text, b)
		}) {
			t.Errorf("%s has what is inline", e.Name())
		}
	}
	if whole > 128<<10 {
		t.Errorf("the page has %d bytes", whole)
	}
}
