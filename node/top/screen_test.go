package top

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/recording"

	"github.com/wgnode/wgnode/probe"
)

var update = flag.Bool("update", false, "write the screens in testdata")

// client is a recording of a client: connections that work, and packets for nobody.
const client = "../../probe/recording/testdata/v2/client.pcapng"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == showArgument {
		show(os.Args[2])
		return
	}
	time.Local = time.UTC // screens have times of day
	goleak.VerifyTestMain(m)
}

// view is a model with a screen of cells.
type view struct {
	t     *testing.T
	model *Model
	cells tcell.SimulationScreen
	file  *File
}

func checkFilter(words []string) error {
	_, err := filter.Compile(words, func(string) ([]probe.PeerID, error) { return []probe.PeerID{1}, nil })
	return err
}

func newView(t *testing.T, src Source, width, height, colors int) *view {
	t.Helper()
	v := &view{t: t, cells: tcell.NewSimulationScreen("UTF-8")}
	if err := v.cells.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.cells.Fini)
	v.cells.SetSize(width, height)
	v.model = New(src, Options{Colors: colors, CheckFilter: checkFilter, Now: func() time.Time { return noon }})
	return v
}

// noon is when it is in tests.
var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func openView(t *testing.T, path string, width, height int) *view {
	t.Helper()
	f, err := OpenRecording(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	v := newView(t, f, width, height, 0)
	v.file = f
	return v
}

// keys types: a name of a key in angle brackets, or text.
func (v *view) keys(keys ...any) *view {
	v.t.Helper()
	for _, k := range keys {
		switch k := k.(type) {
		case tcell.Key:
			v.model.Handle(tcell.NewEventKey(k, 0, 0))
		case string:
			for _, r := range k {
				v.model.Handle(tcell.NewEventKey(tcell.KeyRune, r, 0))
			}
		}
		for _, job := range v.model.Jobs() {
			v.model.Done(job(v.t.Context()))
		}
	}
	return v
}

// text is what is seen.
func (v *view) text() string {
	if v.file != nil {
		v.file.Settle()
	}
	v.cells.Clear()
	v.model.Draw(v.cells)
	if v.file != nil { // the rows may have asked for other verdicts
		v.file.Settle()
		v.cells.Clear()
		v.model.Draw(v.cells)
	}
	return contents(v.cells)
}

func contents(s tcell.Screen) string {
	var b strings.Builder
	width, height := s.Size()
	for y := range height {
		var line strings.Builder
		for x := 0; x < width; {
			text, _, w := s.Get(x, y)
			if text == "" {
				text = " "
			}
			line.WriteString(text)
			x += max(w, 1)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// golden holds what is seen against a file.
func (v *view) golden(name string) {
	v.t.Helper()
	got := v.text()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			v.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		v.t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// What is seen of a recording, at both ends of common sizes.
func TestScreens(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"80x24", 80, 24}, {"200x50", 200, 50}} {
		t.Run(size.name, func(t *testing.T) {
			v := openView(t, client, size.width, size.height)
			v.golden("end-" + size.name)
			v.keys(tcell.KeyHome).golden("begin-" + size.name)
			v.keys("]]", tcell.KeyRight).golden("later-" + size.name)
			v.keys(tcell.KeyEnd, tcell.KeyTab, tcell.KeyDown).golden("flow-" + size.name)
			v.keys(tcell.KeyEnter).golden("explain-" + size.name)
			v.keys(tcell.KeyPgDn).golden("explain-below-" + size.name)
			v.keys(tcell.KeyEscape, "/proto icmp", tcell.KeyEnter).golden("filter-" + size.name)
			v.keys("?").golden("help-" + size.name)
		})
	}
}

func TestKernelDropsOnScreen(t *testing.T) {
	v := openView(t, "../../probe/recording/testdata/v2/drops.pcapng", 100, 24)
	if got := v.text(); !strings.Contains(got, "dropped by this host's kernel") {
		t.Errorf("no drop of the kernel in\n%s", got)
	}
}

// Whatever a terminal is resized to, everything is drawn inside of it.
func TestSizes(t *testing.T) {
	v := openView(t, client, 80, 24)
	for _, size := range [][2]int{{1, 1}, {0, 0}, {39, 9}, {40, 10}, {41, 11}, {60, 12}, {80, 10}, {300, 100}, {300, 10}, {40, 100}} {
		v.cells.SetSize(size[0], size[1])
		v.model.Handle(tcell.NewEventResize(size[0], size[1]))
		for _, keys := range [][]any{{""}, {"?"}, {tcell.KeyEscape, "/peer"}, {tcell.KeyEscape, tcell.KeyEnter}, {tcell.KeyEscape}} {
			v.keys(keys...).text()
		}
	}
}

// Text that others wrote does not steer the terminal, wherever it comes from.
func TestHarmless(t *testing.T) {
	const evil = "a\x1b[2J\u202eb\nc"
	f, err := OpenRecording(client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.tunnel.Name = evil
	v := newView(t, f, 100, 30, 256)
	f.Settle()
	for i := range f.tunnel.State.Peers {
		f.tunnel.State.Peers[i].Name = evil
		f.tunnel.State.Peers[i].Verdict.Summary = evil
	}
	for id, p := range f.tunnel.names {
		f.tunnel.names[id] = peerName{p.key, evil}
	}
	v.model.say(evil)
	for _, p := range []*page{nil, {title: evil, lines: []string{evil}}} {
		v.model.page = p
		v.cells.Clear()
		v.model.Draw(v.cells)
		if got := contents(v.cells); strings.ContainsAny(got, "\x1b\u202e") || !strings.Contains(got, `a\x1b[2J\u202eb\nc`) {
			t.Errorf("drawn: %q", got)
		}
	}
}

func TestFilterThatIsNone(t *testing.T) {
	v := openView(t, client, 80, 24)
	got := v.keys("/port many", tcell.KeyEnter).text()
	if !strings.Contains(got, "filter: port many") || !strings.Contains(got, "filter, word 2") {
		t.Errorf("a filter that is none:\n%s", got)
	}
	v.keys(tcell.KeyCtrlU, "peer nobody", tcell.KeyEnter)
	if got = v.text(); !strings.Contains(got, `no peer has this name`) {
		t.Errorf("a filter of nobody:\n%s", got)
	}
	v.keys("/", tcell.KeyCtrlU, tcell.KeyEnter)
	if got = v.text(); !strings.Contains(got, "tcp 10.0.0.1") || strings.Contains(got, "filter:") {
		t.Errorf("without a filter:\n%s", got)
	}
}

func TestMouse(t *testing.T) {
	v := openView(t, client, 80, 24)
	lines := strings.Split(v.text(), "\n")
	row := -1
	for i, line := range lines {
		if strings.Contains(line, " icmp 10.0.0.1 > 10.0.0.2") {
			row = i
		}
	}
	v.model.Handle(tcell.NewEventMouse(5, row, tcell.Button1, 0))
	v.text()
	if f := v.model.flow(); v.model.focus != paneFlows || f.f.String() != "icmp 10.0.0.1 > 10.0.0.2" {
		t.Errorf("a click on row %d chose %s of\n%s", row, f.f, strings.Join(lines, "\n"))
	}
	v.model.Handle(tcell.NewEventMouse(5, row, tcell.WheelUp, 0))
	v.text()
	if at := v.model.lists[paneFlows].cursor; at != 0 {
		t.Errorf("the wheel left the cursor at %d", at)
	}
	// The left end of the time line.
	v.model.Handle(tcell.NewEventMouse(1, 21, tcell.Button1, 0))
	first, last := v.file.Span()
	if at := v.file.At(); at-first > (last-first)/50 {
		t.Errorf("a click at the beginning of the time line went %s into it", time.Duration(at-first))
	}
}

// A recording plays as fast as it was, and stops at its end.
func TestPlay(t *testing.T) {
	v := openView(t, client, 80, 24)
	now := noon
	v.model.opt.Now = func() time.Time { return now }
	v.text()
	first, last := v.file.Span()
	v.keys(" ") // from the end it begins anew
	if !v.model.Playing() || v.file.At() != first {
		t.Fatalf("plays: %v, at %d of %d", v.model.Playing(), v.file.At(), first)
	}
	now = now.Add(time.Second)
	v.model.Tick()
	if at := v.file.At(); at != first+int64(time.Second) {
		t.Errorf("after a second it is %s on", time.Duration(at-first))
	}
	v.keys("++")
	now = now.Add(time.Second)
	v.model.Tick()
	if at := v.file.At(); at != first+5*int64(time.Second) {
		t.Errorf("four times as fast it is %s on", time.Duration(at-first))
	}
	now = now.Add(time.Hour)
	v.model.Tick()
	if v.model.Playing() || v.file.At() != last {
		t.Errorf("plays on at its end")
	}
}

func TestNotARecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("no recording"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRecording(path); err == nil || !strings.Contains(err.Error(), recording.ErrForeign.Error()) {
		t.Errorf("%v", err)
	}
}

// Whatever a recording holds, and whichever release wrote it, it can be gone through.
func TestEveryRecording(t *testing.T) {
	paths, err := filepath.Glob("../../probe/recording/testdata/v*/*.pcapng")
	if err != nil || len(paths) < 5 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			v := openView(t, path, 120, 40)
			for _, keys := range []any{tcell.KeyHome, "]", tcell.KeyRight, tcell.KeyTab, "s", tcell.KeyTab, "s", tcell.KeyEnter, tcell.KeyEscape,
				"/dropped", tcell.KeyEnter, tcell.KeyEnd, tcell.KeyEnter} {
				if seen := v.keys(keys).text(); !strings.Contains(seen, "wgnode top") {
					t.Fatalf("after %v:\n%s", keys, seen)
				}
			}
		})
	}
}
