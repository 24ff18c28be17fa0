//go:build linux

package sitetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/patience"
)

// Ask runs explain, doctor or trace on a host and reads its JSON.
func (s *Site) Ask(h *lab.Host, into any, args ...string) (status int) {
	s.T.Helper()
	out, status, err := h.Try(append(append([]string{s.Wgnode}, args...), "--json")...)
	if err != nil {
		s.T.Fatal(err)
	}
	if err := Decode(s.T, args[0], out, into); err != nil {
		s.T.Fatalf("%v: status %d: %v in\n%s", args, status, err, out)
	}
	return status
}

// Explain explains on A.
func (s *Site) Explain(args ...string) *diagnose.Report {
	s.T.Helper()
	return s.ExplainOn(s.A, args...)
}

// ExplainOn explains, and wants an exit status that fits the verdict. Unless args
// say how long that may take, it is longer on a slow machine.
func (s *Site) ExplainOn(h *lab.Host, args ...string) *diagnose.Report {
	s.T.Helper()
	if !slices.Contains(args, "--timeout") {
		args = append(slices.Clip(args), "--timeout", patience.Times(explain.DefaultTimeout).String())
	}
	var r diagnose.Report
	status := s.Ask(h, &r, append([]string{"explain", "wg0"}, args...)...)
	want := 2
	switch r.Verdict.Code {
	case diagnose.Healthy:
		want = 0
	case diagnose.Idle: // nothing was seen
		want = 1
	}
	if status != want {
		s.T.Errorf("exit status %d with verdict %s", status, r.Verdict.Code)
	}
	return &r
}

// Want wants a verdict, a text in what is said of it, and no secret. Of a healthy site it
// wants no findings.
func (s *Site) Want(r *diagnose.Report, code diagnose.Code, says string) {
	s.T.Helper()
	v := &r.Verdict
	text := strings.Join(append(append([]string{v.Summary}, evidence.Texts(v.Evidence)...), v.Fix.Lines()...), "\n")
	if v.Code != code {
		out, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			s.T.Fatal(err)
		}
		s.T.Fatalf("verdict %s, want %s\n%s", v.Code, code, out)
	}
	if !strings.Contains(text, says) {
		s.T.Errorf("%q is not said in\n%s", says, text)
	}
	for _, key := range []string{s.Alice.Private, s.Gateway.Private} {
		if strings.Contains(text, key) {
			s.T.Error("a private key is said")
		}
	}
	if code == diagnose.Healthy {
		s.NoFindings(r.Findings, r.Unchecked)
	}
}

// NoFindings wants nothing found, and everything looked at.
func (s *Site) NoFindings(found []diagnose.Finding, unchecked []string) {
	s.T.Helper()
	for _, f := range found {
		s.T.Errorf("found on a healthy site: %s: %s", f.Code, f.Summary)
	}
	for _, u := range unchecked {
		s.T.Errorf("not looked at: %s", u)
	}
}

// Calls has A ask for the web server at addr again and again, until the test ends
// or the process is stopped.
func (s *Site) Calls(addr string) *lab.Proc {
	return s.A.Start("sh", "-c", fmt.Sprintf(
		"while :; do curl -s -o /dev/null -m 2 --interface %s http://%s; sleep 0.2; done", s.Inner(1), addr))
}

// Overheard explains on H what A's calls come to.
func (s *Site) Overheard(addr string, more ...string) *diagnose.Report {
	s.T.Helper()
	c := s.Calls(addr)
	defer c.Stop()
	return s.ExplainOn(s.H, append([]string{addr, "--passive"}, more...)...)
}
