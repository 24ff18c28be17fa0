//go:build linux

package faults

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// The matrix of faults: each code of the verdicts is reached by several
// mechanisms, in both families, and next to each fault stands its twin, the same
// setting where it does no harm. `make faults` prints the table.

var (
	faultTable = flag.Bool("faults.table", false, "print the table of TestFaults")
	faultOnly  = flag.String("faults.only", "", "run only those of TestFaults whose name contains this")
)

// fault is one way to break a site, and what is to be said of it.
type fault struct {
	code diagnose.Code // that it is a case of
	how  string        // the mechanism, in a few words
	side string        // who is asked: A, or B, which is H

	setup  func(s *site) // what fault and twin have in common, before both are up
	twin   func(s *site) // the same where it does no harm; nil if that is setup alone
	conf   func(s *site) // breaks it before both are up
	inject func(s *site) // breaks it when all is well
	fresh  bool          // there is no session when the question is asked

	ask   func(s *site) *diagnose.Report // nil: as side says, for web
	web   func(s *site) string           // that is asked about, and that others call, too; nil: B's web server
	want  diagnose.Code                  // "": code; another where one host cannot know
	first diagnose.Code                  // the candidate that comes first
	at    string                         // the checkpoint
	says  string                         // is in summary, evidence or fix
	mends bool                           // what fix says, done literally, mends it
	only  int                            // 4 or 6: the one family that has such a thing
	quiet bool                           // there is no such fault where others send, too
}

// later and harmless are in rules that must not be blamed.
const (
	culprit  = "culprit"
	later    = "later-one"
	harmless = "harmless-one"
)

// faults is the matrix.
func faults() []fault {
	return slices.Concat(faultsBeforeTunnel(), faultsOfEndpoint(), faultsOfFirewallToPeer(), faultsOnPath(),
		faultsOfHandshake(), faultsOfAnswer(), faultsBehindTunnel(), faultsOnReturn(), faultsOfHub(), faultsOfFile(), faultsOfOwners(),
		faultsOfKernel(), faultsOfDrops(), faultsOfControlGroup(), faultsOfBothWays(), faultsOfHost(), faultsOfTTL(),
		faultsOfForcedForwarding(), faultsOfTracking(), faultsOfFullTable(), faultsOfProxy(), faultsOfPeers(),
		faultsOfSpokes(), faultsOfTunnelInTunnel())
}

// elsewhere are the codes whose cases need other hosts or files than the matrix
// has, and the tests that they have.
var elsewhere = map[diagnose.Code]string{
	diagnose.SharedKey:             "node/lab/faults TestVerdictSharedKey",
	diagnose.LostOnPath:            "node/lab/recordings TestMergeFaults",
	diagnose.SocketBufferFull:      "node/lab/faults TestSocketBufferFull",
	diagnose.Checksum:              "node/lab/faults TestChecksum",
	diagnose.MTUBlackhole:          "node/lab/faults TestMTUBlackhole",
	diagnose.MTUTooLarge:           "node/lab/faults TestFindings",
	diagnose.NoKeepalive:           "node/lab/faults TestFindings",
	diagnose.FullTunnelOneFamily:   "node/lab/faults TestFindings",
	diagnose.DNSUnreachable:        "node/lab/faults TestFindings",
	diagnose.DNSNotApplied:         "node/lab/faults TestFindings",
	diagnose.DNSLeak:               "node/lab/faults TestFindings",
	diagnose.AddressConflict:       "node/lab/faults TestFindings",
	diagnose.DuplicateAddress:      "node/lab/faults TestFindings",
	diagnose.OverlappingAllowedIPs: "node/lab/faults TestFileFindings",
	diagnose.KeyIsOwn:              "node/lab/faults TestFileFindings",
	diagnose.WorldReadableConfig:   "node/lab/faults TestFileFindings",
	diagnose.NotAsApplied:          "node/lab/system TestChangedByHand",
	diagnose.NodeDied:              "node/lab/system TestKnowsDeadNodes",
	diagnose.ClockSkew:             "probe/diagnose/finding TestFindings",
}

// Every code of the contract has at least two mechanisms in the matrix, or a test
// of its own elsewhere.
func TestEveryCodeHasCases(t *testing.T) {
	ways := make(map[diagnose.Code]map[string]bool)
	for _, f := range faults() {
		if ways[f.code] == nil {
			ways[f.code] = make(map[string]bool)
		}
		ways[f.code][f.how] = true
	}
	for _, code := range diagnose.Codes() {
		dir, test, ok := strings.Cut(elsewhere[code], " ")
		switch n := len(ways[code]); {
		case ok && !hasTest(t, filepath.Join("../../..", dir), test):
			t.Errorf("%s: there is no %s in %s", code, test, dir)
		case !ok && n < 2:
			t.Errorf("%s: %d case(s) in the matrix of faults, want 2", code, n)
		}
	}
}

func hasTest(t *testing.T, dir, test string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "\nfunc "+test+"(")
	})
}

// A faultRow is one line of the table.
type faultRow struct {
	code           diagnose.Code
	how, side      string
	want, got      diagnose.Code
	twin           diagnose.Code
	took           time.Duration
	failed, mended bool
}

func TestFaults(t *testing.T) {
	lab.Need(t, "conntrack")
	t.Parallel()
	var mu sync.Mutex
	var rows []faultRow
	if *faultTable {
		t.Cleanup(func() { printFaults(rows) })
	}
	for _, f := range faults() {
		for _, v6 := range []bool{false, true} {
			if f.only == 4 && v6 || f.only == 6 && !v6 {
				continue
			}
			name := fmt.Sprintf("%s/%s: %s/v6=%v", f.code, f.side, f.how, v6)
			if !strings.Contains(name, *faultOnly) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row := faultRow{code: f.code, how: f.how + familySuffix(v6), side: f.side, want: cmp.Or(f.want, f.code)}
				defer func() {
					row.failed = t.Failed()
					mu.Lock()
					defer mu.Unlock()
					rows = append(rows, row)
				}()
				f.run(t, v6, &row)
			})
		}
	}
}

func familySuffix(v6 bool) string {
	if v6 {
		return ", IPv6"
	}
	return ", IPv4"
}

func printFaults(rows []faultRow) {
	order := make(map[diagnose.Code]int)
	for i, c := range diagnose.Codes() {
		order[c] = i
	}
	slices.SortStableFunc(rows, func(a, b faultRow) int {
		return cmp.Or(cmp.Compare(order[a.code], order[b.code]), cmp.Compare(a.side+a.how, b.side+b.how))
	})
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tSIDE\tEXPECTED\tVERDICT\tTWIN\tSECONDS\t")
	wrong := 0
	for _, r := range rows {
		note := ""
		if r.mended {
			note = "mended by its fix"
		}
		if r.failed {
			note = "WRONG"
			wrong++
		}
		fmt.Fprintf(w, "%s: %s\t%s\t%s\t%s\t%s\t%.1f\t%s\n", r.code, r.how, r.side, r.want, r.got, r.twin, r.took.Seconds(), note)
	}
	fmt.Fprintf(w, "%d cases, %d wrong\n", len(rows), wrong)
	_ = w.Flush() // to standard output, as the test's own result
}

// run builds a site, asks about the twin, and then about the fault.
func (f *fault) run(t *testing.T, v6 bool, row *faultRow) {
	s := f.site(t, v6)
	if f.twin != nil || f.conf == nil {
		s.UpBoth()
		if f.twin != nil {
			f.twin(s)
		}
		r := f.question(s)
		row.twin = r.Verdict.Code
		s.Want(r, diagnose.Healthy, "")
	}
	if f.conf != nil {
		s = f.site(t, v6)
		f.conf(s)
		s.UpBoth()
	}
	if f.inject != nil {
		f.inject(s)
	}
	if f.fresh {
		s.A.Run(s.Wgnode, "down", "wg0")
		s.A.Run(s.Wgnode, "up", "wg0")
	}
	defer s.disturb(f)()
	start := time.Now()
	r := f.question(s)
	row.took, row.got = time.Since(start), r.Verdict.Code
	f.check(s, r)
	if *faultDoctor && !f.quiet {
		s.agrees(f, r)
	}
	if f.mends && !t.Failed() {
		s.mend(f.host(s), r.Verdict.Fix)
		now := f.question(s)
		if row.mended = now.Verdict.Healthy(); !row.mended {
			t.Errorf("%q\nafter\n%s\nthe verdict is %s: %s\n%q", evidence.Texts(r.Verdict.Evidence), strings.Join(r.Verdict.Fix.Lines(), "\n"),
				now.Verdict.Code, now.Verdict.Summary, evidence.Texts(now.Verdict.Evidence))
		}
	}
}

func (f *fault) site(t *testing.T, v6 bool) *site {
	s := newSite(t, v6)
	if f.setup != nil {
		f.setup(s)
	}
	return s
}

// host is who is asked.
func (f *fault) host(s *site) *lab.Host {
	if f.side == "B" {
		return s.H
	}
	return s.A
}

// service is what is asked about.
func (f *fault) service(s *site) string {
	if f.web != nil {
		return f.web(s)
	}
	return s.Web()
}

func (f *fault) question(s *site) *diagnose.Report {
	switch {
	case f.ask != nil:
		return f.ask(s)
	case f.side == "B":
		return s.Overheard(f.service(s))
	}
	return s.Explain(f.service(s))
}

func (f *fault) check(s *site, r *diagnose.Report) {
	s.T.Helper()
	v := &r.Verdict
	if *faultNoise && f.told() && v.Code == diagnose.NoReply && !v.Certain {
		return // a kernel sends few ICMP errors a second, and the noise has had them
	}
	if *faultForged && f.side == "A" && f.at == "A3" && f.told() && v.Code == diagnose.NoResponse && !v.Certain {
		return // or what is forged in A's name has
	}
	s.Want(r, cmp.Or(f.want, f.code), f.says)
	if f.at != "" && v.Checkpoint.String() != f.at {
		s.T.Errorf("%s is at %s, want %s", v.Code, v.Checkpoint, f.at)
	}
	if certain := f.want == "" && f.first == ""; certain && !general[v.Code] != v.Certain {
		s.T.Errorf("%s: certain is %v", v.Code, v.Certain)
	}
	found := func(found diagnose.Finding) bool { return found.Code == f.code && len(found.Fix) > 0 }
	if f.want == diagnose.Idle && !slices.ContainsFunc(r.Findings, found) {
		s.T.Errorf("%s is not among the findings: %+v", f.code, r.Findings)
	}
	if *faultForged {
		return // what is claimed is said, too, and is a candidate
	}
	if f.first != "" && (len(v.Candidates) == 0 || v.Candidates[0].Code != f.first) {
		s.T.Errorf("the first of the candidates %+v is not %s", v.Candidates, f.first)
	}
	text := strings.Join(append([]string{v.Summary}, evidence.Texts(v.Evidence)...), "\n")
	for _, other := range []string{later, harmless} {
		if strings.Contains(text, other) {
			s.T.Errorf("a rule is blamed that did nothing:\n%s", text)
		}
	}
	if v.Class() == diagnose.ClassFirewall && v.Code != diagnose.BPFDrop && strings.Contains(text, "netfilter trace") &&
		!strings.Contains(text, culprit) && !strings.Contains(text, "policy") {
		s.T.Errorf("the rule is not named in\n%s", text)
	}
	if len(v.Evidence) == 0 || !v.Healthy() && len(v.Fix) == 0 {
		s.T.Errorf("evidence %q and fix %q", v.Evidence, v.Fix.Lines())
	}
}

// told reports whether A knows of the fault by what others say.
func (f *fault) told() bool {
	says := []diagnose.Code{diagnose.ConnectionRefused, diagnose.TTLExceeded, diagnose.EndpointPortClosed, diagnose.EndpointProhibited,
		diagnose.EndpointUnreachable}
	return f.side == "A" && (strings.HasPrefix(f.at, "B") || slices.Contains(says, f.code))
}

// disturb has others send at the same time, if that is asked for. It returns what ends that.
func (s *site) disturb(f *fault) (stop func()) {
	stop = func() {}
	switch {
	case f.quiet:
	case *faultNoise:
		stop = s.noise(netip.MustParseAddrPort(f.service(s)))
	case *faultForged:
		stop = s.liars()
	}
	return stop
}

// general are the codes that say what one host cannot know better.
var general = map[diagnose.Code]bool{diagnose.NoResponse: true, diagnose.ResponseNotAccepted: true,
	diagnose.NoReplyFromDestination: true, diagnose.NoReply: true, diagnose.Idle: true}

// mend does what a fix says, as it says it. Lines for a configuration file are
// left out: as a rule another line does the same at once.
func (s *site) mend(h *lab.Host, steps fix.Steps) {
	s.T.Helper()
	for _, step := range steps {
		if step.Kind == fix.KindNote || step.Kind == fix.KindConfig {
			continue
		}
		line := step.Line()
		if out, status, err := h.Try("env", "PATH="+filepath.Dir(s.Wgnode)+":"+os.Getenv("PATH"), "sh", "-c", line); err != nil || status != 0 {
			s.T.Errorf("fix: %s: status %d, %v\n%s", line, status, err, out)
		}
	}
}

// unreached waits until A does not reach the web server at addr any more: a session
// goes on by the way that its packets took, until the node takes notice of a new one.
func (s *site) unreached(addr string) {
	s.T.Helper()
	// A packet that is under way when the node takes notice has it go on by the old way: nothing
	// tells that it has, so it is given a moment without any.
	s.A.Run("sh", "-c", fmt.Sprintf("sleep 0.5; for i in $(seq 1000); do "+
		"curl -s -o /dev/null -m 2 --interface %s http://%s || exit 0; done; exit 1",
		s.Inner(1), addr))
}
