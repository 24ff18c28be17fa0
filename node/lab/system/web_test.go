//go:build linux

package system

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/patience"
)

// page is the page that a host serves at a socket, asked as a browser does.
type page struct {
	t      *testing.T
	client http.Client
	base   string
}

func openPage(t *testing.T, h *lab.Host, wgnode string, args ...string) *page {
	t.Helper()
	h.Start(append([]string{wgnode, "web", "--listen", "unix:/run/web.sock", "--link", "/run/link"}, args...)...)
	if err := h.AwaitSocket(patience.Context(t), "/run/web.sock"); err != nil {
		t.Fatal(err)
	}
	h.Until("test -s /run/link")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, client: http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return h.Dial(ctx, "unix", "/run/web.sock") }}}}
	res, err := p.client.Get(strings.TrimSpace(h.ReadFile("/run/link")))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // only its address counts
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the link: %s", res.Status)
	}
	p.base = res.Request.URL.String()
	return p
}

// ask asks a question, wants a status, and reads the answer.
func (p *page) ask(what string, question, answer any, want int) {
	p.t.Helper()
	body, err := json.Marshal(question)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(patience.Context(p.t), http.MethodPost, p.base+"api/"+what, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Origin", "http://"+req.URL.Host)
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		p.t.Fatalf("%s: %s, want %d, %v\n%s", what, res.Status, want, err, text)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			p.t.Fatalf("%s: %v\n%s", what, err, text)
		}
	}
}

// The page applies the fix of its own explanation, once the user has agreed to just that; undo takes
// it back. Without leave it does not.
func TestWebAppliesFix(t *testing.T) {
	lab.Need(t, "ip", "wg")
	t.Parallel()
	s := newSite(t, false)
	s.UpBoth()
	dest, _, _ := net.SplitHostPort(s.Web())
	s.A.Run("ip", "route", "add", "unreachable", dest)
	p := openPage(t, s.A, s.Wgnode, "wg0", "--allow-changes")
	type explained struct {
		ID     string
		Report diagnose.Report
	}
	type question struct {
		ID    string `json:"id"`
		Agree string `json:"agree"`
	}
	var broken, mended explained
	p.ask("explain", map[string]string{"tunnel": "wg0", "dest": s.Web()}, &broken, 200)
	s.Want(&broken.Report, diagnose.DestNotRouted, "")
	var plan struct {
		Steps []string
		Agree string
	}
	p.ask("fix/plan", map[string]string{"id": broken.ID}, &plan, 200)
	if len(plan.Steps) != 1 || !strings.Contains(plan.Steps[0], "route del unreachable "+dest) {
		t.Fatalf("the plan is %v", plan.Steps)
	}
	p.ask("fix/apply", question{broken.ID, "something else"}, nil, 400)
	if routes := s.A.Run("ip", "route"); !strings.Contains(routes, "unreachable") {
		t.Fatalf("it was applied without agreement:\n%s", routes)
	}
	p.ask("fix/apply", question{broken.ID, plan.Agree}, &mended, 200)
	s.Want(&mended.Report, diagnose.Healthy, "")
	if out := s.A.Run(s.Wgnode, "undo", "--yes"); strings.Contains(out, "left as it is") {
		t.Errorf("undo: %s", out)
	}
	if routes := s.A.Run("ip", "route"); !strings.Contains(routes, "unreachable "+dest) {
		t.Errorf("undo has not put it back:\n%s", routes)
	}
}
