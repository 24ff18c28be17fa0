package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/timeline"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

var (
	hub = key.Public{1}
	lap = key.Public{2}
)

func report(k key.Public, name string, s diagnose.State, code diagnose.Code) diagnose.PeerReport {
	r := diagnose.PeerReport{Peer: k.Base64(), PeerName: name, State: s}
	r.Verdict.Code, r.Verdict.Summary = code, "because of "+string(code)
	if s == diagnose.StateFailing {
		r.Verdict.Checkpoint = probe.A2
	}
	return r
}

// brief is a period in few words.
func brief(p *timeline.Period) string {
	to := "now"
	if !p.To.IsZero() {
		to = p.To.Format("15:04")
	}
	if p.Cut {
		to = "before " + to
	}
	return p.From.Format("15:04") + "-" + to + " " + string(p.State) + " " + string(p.Code)
}

func briefs(p *timeline.Peer) (all []string) {
	for i := range p.Periods {
		all = append(all, brief(&p.Periods[i]))
	}
	return all
}

// write keeps a history, and has each step take it further.
func write(t *testing.T, dir string, from float64, steps func(b *Book)) *Book {
	t.Helper()
	b, err := Create(dir, "wg0", at(from))
	if err != nil {
		t.Fatal(err)
	}
	steps(b)
	return b
}

// killed is what a process that is killed does.
func killed(t *testing.T, b *Book) {
	t.Helper()
	if err := b.file.Close(); err != nil {
		t.Fatal(err)
	}
}

func note(t *testing.T, b *Book, minute float64, peers ...diagnose.PeerReport) {
	t.Helper()
	if err := b.Note(at(minute), peers); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir string, since, now float64) ([]timeline.Peer, time.Time) {
	t.Helper()
	all, err := Read(dir, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	return all.Timeline(at(since), at(now))
}

// A peer that fails, comes back and fails again has failed twice, for so long, whatever the reason
// became meanwhile; a handshake under way is no state of its own.
func TestFailuresAreCounted(t *testing.T) {
	dir := t.TempDir()
	b := write(t, dir, 0, func(b *Book) {
		note(t, b, 1, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
		note(t, b, 5, report(hub, "hub", diagnose.StateFailing, diagnose.NoResponse))
		note(t, b, 6, report(hub, "hub", diagnose.StateFailing, diagnose.EndpointUnreachable))
		note(t, b, 7, report(hub, "hub", diagnose.StateHandshaking, diagnose.Idle))
		note(t, b, 8, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
		note(t, b, 9, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
		note(t, b, 10, report(hub, "hub", diagnose.StateFailing, diagnose.EndpointUnreachable))
	})
	peers, begin := read(t, dir, 0, 14)
	if len(peers) != 1 || !begin.Equal(at(0)) {
		t.Fatalf("%d peers since %v", len(peers), begin)
	}
	p := &peers[0]
	want := []string{"12:01-12:05 up healthy", "12:05-12:06 failing no-response", "12:06-12:08 failing endpoint-unreachable",
		"12:08-12:10 up healthy", "12:10-now failing endpoint-unreachable"}
	if diff := cmp.Diff(want, briefs(p)); diff != "" {
		t.Error(diff)
	}
	if p.Failures != 2 || p.Failing != 7*time.Minute || p.Codes[diagnose.EndpointUnreachable] != 2 || p.Codes[diagnose.NoResponse] != 1 {
		t.Errorf("%d failures, %v, %v", p.Failures, p.Failing, p.Codes)
	}
	later, _ := read(t, dir, 9, 14)
	if later[0].Failures != 1 || later[0].Failing != 4*time.Minute {
		t.Errorf("since 12:09: %d failures, %v", later[0].Failures, later[0].Failing)
	}
	if err := b.Close(at(15)); err != nil {
		t.Fatal(err)
	}
	ended, _ := read(t, dir, 0, 60)
	if ended[0].Failing != 8*time.Minute || ended[0].Now() != nil {
		t.Errorf("after the end it fails for %v", ended[0].Failing)
	}
}

// Who wants to be told is told each line once, with the one before it, also where nothing is written.
func TestTells(t *testing.T) {
	b := Unwritten()
	var told []string
	b.Tell = func(line, before *timeline.Line) {
		was := diagnose.State("none")
		if before != nil {
			was = before.State
		}
		told = append(told, fmt.Sprintf("%s %s %s, was %s", line.What, line.Name, line.State, was))
	}
	note(t, b, 1, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
	note(t, b, 2, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
	note(t, b, 3, report(hub, "hub", diagnose.StateFailing, diagnose.NoResponse))
	note(t, b, 4)
	want := []string{"peer hub up, was none", "peer hub failing, was up", "removed hub , was failing"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	if err := b.Close(at(5)); err != nil {
		t.Error(err)
	}
}

// What lasted when a node was killed did so for an unknown time, and what one that has stopped
// knew ends with it. Peers that fail come first, and a removed one ends.
func TestEnds(t *testing.T) {
	dir := t.TempDir()
	b := write(t, dir, 0, func(b *Book) {
		note(t, b, 1, report(hub, "hub", diagnose.StateUp, diagnose.Healthy), report(lap, "", diagnose.StateUp, diagnose.Healthy))
		note(t, b, 2, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
	})
	killed(t, b)
	b = write(t, dir, 30, func(b *Book) {
		note(t, b, 31, report(hub, "center", diagnose.StateUp, diagnose.Healthy), report(lap, "", diagnose.StateFailing, diagnose.NoResponse))
	})
	peers, _ := read(t, dir, 0, 40)
	if len(peers) != 2 || peers[0].Peer != lap || peers[1].Name != "center" {
		t.Fatalf("%+v", peers)
	}
	if diff := cmp.Diff([]string{"12:01-12:02 up healthy", "12:31-now failing no-response"}, briefs(&peers[0])); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"12:01-before 12:30 up healthy", "12:31-now up healthy"}, briefs(&peers[1])); diff != "" {
		t.Error(diff)
	}
	if err := b.Close(at(41)); err != nil {
		t.Fatal(err)
	}
}

// A session that has run out has done so when it did, not when that was noticed.
func TestStaleSinceTheSessionEnded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 0, func(b *Book) {
		note(t, b, 1, report(hub, "hub", diagnose.StateUp, diagnose.Healthy))
		stale := report(hub, "hub", diagnose.StateStale, diagnose.Idle)
		stale.HandshakeAge = 13 * time.Minute
		note(t, b, 14, stale)
	})
	peers, _ := read(t, dir, 0, 20)
	if diff := cmp.Diff([]string{"12:01-12:04 up healthy", "12:04-now stale idle"}, briefs(&peers[0])); diff != "" {
		t.Error(diff)
	}
}

// However much happens, the two files stay within their bound, and what lasts is in the newer one.
func TestBounded(t *testing.T) {
	dir := t.TempDir()
	const changes = 40_000
	write(t, dir, 0, func(b *Book) {
		note(t, b, 0, report(lap, "steady", diagnose.StateUp, diagnose.Healthy))
		for i := range changes {
			s, code := diagnose.StateUp, diagnose.Healthy
			if i%2 == 1 {
				s, code = diagnose.StateFailing, diagnose.NoResponse
			}
			note(t, b, float64(i), report(hub, "hub", s, code), report(lap, "steady", diagnose.StateUp, diagnose.Healthy))
		}
	})
	var size int64
	for _, name := range []string{"wg0.history", "wg0.history.old"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, st.Mode())
		}
		size += st.Size()
	}
	if size > bound+2*boundPeer || size < bound/2 {
		t.Errorf("%d bytes, bound %d", size, int64(bound))
	}
	peers, _ := read(t, dir, changes-10, changes)
	names := ""
	for _, p := range peers {
		names += p.Name + " "
		if p.Name == "steady" && (len(p.Periods) != 1 || !p.Periods[0].From.Equal(at(0))) {
			t.Errorf("steady: %v", briefs(&p))
		}
	}
	if names != "hub steady " {
		t.Errorf("peers: %s", names)
	}
}

// A line that a process was killed over, or that somebody has spoiled, costs that line alone.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	b := write(t, dir, 0, func(b *Book) { note(t, b, 1, report(hub, "hub", diagnose.StateUp, diagnose.Healthy)) })
	if _, err := b.file.WriteString("not a line\n{\"at\":\"2026-11-30T12:02:00Z\",\"what\":\"pe"); err != nil {
		t.Fatal(err)
	}
	if peers, _ := read(t, dir, 0, 2); len(peers) != 1 || len(peers[0].Periods) != 1 {
		t.Errorf("while it is written: %+v", peers)
	}
	if _, err := Create(dir, "wg0", at(2)); err == nil {
		t.Error("two nodes write one history")
	}
	killed(t, b)
	write(t, dir, 3, func(b *Book) { note(t, b, 4, report(hub, "hub", diagnose.StateUp, diagnose.Healthy)) })
	all, err := Read(dir, "wg0")
	if err != nil || all.Damaged != 2 {
		t.Fatalf("%d damaged lines, %v", all.Damaged, err)
	}
	peers, _ := all.Timeline(at(0), at(5))
	if diff := cmp.Diff([]string{"12:01-before 12:03 up healthy", "12:04-now up healthy"}, briefs(&peers[0])); diff != "" {
		t.Error(diff)
	}
	if _, err := Read(dir, "wg1"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("read what is not there: %v", err)
	}
}
