package archtest

import (
	"cmp"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// upward are the imports against the order of the table that are still there, and
// why: "importer -> imported".
var upward = map[string]string{}

// table is the table of rooms in ARCHITECTURE.md, flattened: a room's rank is its
// place, from the top of the table to its bottom, and within a row from left to right.
type table struct {
	rooms []string
	rank  map[string]int
}

var (
	heading = regexp.MustCompile(`(?s)\n## Rooms\n(.*?)\n## `)
	row     = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
	quoted  = regexp.MustCompile("`([^`]+)`")
)

// readTable reads the first column. A name without a slash is a neighbor of the last
// whole one before it in its row.
func readTable(t *testing.T) *table {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := heading.FindSubmatch(text)
	if section == nil {
		t.Fatal("ARCHITECTURE.md has no section Rooms")
	}
	tab := &table{rank: make(map[string]int)}
	for _, r := range row.FindAllSubmatch(section[1], -1) {
		var whole string
		for _, m := range quoted.FindAllSubmatch(r[1], -1) {
			room := string(m[1])
			if whole == "" || strings.Contains(room, "/") {
				whole = room
			} else {
				room = path.Join(path.Dir(whole), room)
			}
			if _, twice := tab.rank[room]; twice {
				t.Errorf("ARCHITECTURE.md has %s in two rows", room)
			}
			tab.rank[room] = len(tab.rooms)
			tab.rooms = append(tab.rooms, room)
		}
	}
	return tab
}

// Each package has its place in the table, and nothing else has.
func TestRoomsAreInTheTable(t *testing.T) {
	there, tab := theSource(t).rooms(), readTable(t)
	for _, room := range there {
		if _, ok := tab.rank[room]; !ok {
			t.Errorf("package %s has no row in ARCHITECTURE.md, section Rooms: add it below all that it imports", room)
		}
	}
	for _, room := range tab.rooms {
		if !slices.Contains(there, room) {
			t.Errorf("ARCHITECTURE.md has a row for %s, and there is no such package", room)
		}
	}
}

// A room imports only rooms above it. Tests may import any: what they need is not
// part of the program.
func TestImportsRunOneWay(t *testing.T) {
	tab := readTable(t)
	needed := make(map[string]bool)
	for _, f := range theSource(t).files {
		if f.test() {
			continue
		}
		for _, imported := range f.imports() {
			to, ours := strings.CutPrefix(imported, module+"/")
			from := f.room()
			_, known := tab.rank[from]
			if !ours || !known || tab.rank[to] < tab.rank[from] {
				continue // TestRoomsAreInTheTable tells of what is not known
			}
			edge := from + " -> " + to
			if upward[edge] == "" {
				t.Errorf("%s imports %s, which is below %s in the table of rooms", f.path, to, from)
			}
			needed[edge] = true
		}
	}
	for edge, why := range upward {
		if !needed[edge] {
			t.Errorf("%s is no longer imported: remove the exception (%s)", edge, why)
		}
	}
}

// confined are rooms and modules that only some rooms import, beside tests: "room/..."
// is a room and what is below it.
var confined = []struct {
	imported string
	by       []string
	why      string
}{
	{imported: "golang.zx2c4.com/wireguard/device", by: []string{"tunnel", "tunnel/internal/...", "node/lab/stackend"},
		why: "tunnel stands at the device's three seams; all else asks the tunnel"},
	{imported: "gvisor.dev/gvisor/...", by: []string{"tunnel/netstack"},
		why: "the types of the network stack stay inside of it"},
	{imported: "github.com/prometheus/client_golang/...",
		by:  []string{"node/exporter", "node/kernelnode", "node/internal/metrics", "node/telemetry/scrape"},
		why: "a program that needs no metrics does without"},
	{imported: "github.com/spf13/cobra/...", by: []string{"cmd/..."},
		why: "commands are what cmd is for"},
	{imported: "github.com/vishvananda/netlink/...", by: []string{"probe/host/...", "tunnel/tundev", "node/...", "cmd/internal/naming"},
		why: "the other rooms of probe and tunnel run where there is no netlink"},
	{imported: module + "/node/lab/...", by: []string{"node/lab/..."},
		why: "hosts in network namespaces are for tests"},
	{imported: module + "/probe/docpage",
		why: "a program does not write its own documentation, tests do"},
	{imported: module + "/probe/fix/fixtest",
		why: "a program does not compare its advice with files, tests do"},
	{imported: module + "/probe/schema/schematest", by: []string{"node/lab/..."},
		why: "a program does not check what it prints, tests do"},
	{imported: "github.com/google/jsonschema-go/...", by: []string{"probe/schema/schematest"},
		why: "it is for tests"},
	{imported: module + "/probe/patience", by: []string{"node/lab/...", "tunnel/internal/tunneltest"},
		why: "a program waits for what happens, not for as long as tests do"},
	{imported: module + "/probe/host/...", by: []string{"probe/host/...", "node/...", "cmd/..."},
		why: "it asks this host's kernel, and the rest of probe reads recordings on any system"},
	{imported: module + "/tunnel/...", by: []string{"tunnel/...", "node/...", "cmd/..."},
		why: "what is under probe works on a recording as well, where there is no tunnel"},
}

// What belongs to one part of the program is not imported elsewhere.
func TestConfinedImports(t *testing.T) {
	for _, c := range confined {
		used := make(map[string]bool) // patterns of c.by that are needed
		for _, f := range theSource(t).files {
			if f.test() || !slices.ContainsFunc(f.imports(), func(i string) bool { return within(i, c.imported) }) {
				continue
			}
			i := slices.IndexFunc(c.by, func(by string) bool { return within(f.room(), by) })
			if i < 0 {
				t.Errorf("%s imports %s: only %s may, since %s", f.path, c.imported, strings.Join(c.by, ", "), c.why)
				continue
			}
			used[c.by[i]] = true
		}
		for _, by := range c.by {
			if !used[by] && !strings.HasPrefix(c.imported, module) {
				t.Errorf("%s no longer imports %s: remove it from the list", by, c.imported)
			}
		}
	}
}

// pure are the rooms that decide by what they are given: no files, no network, no
// processes, and no clock.
var pure = []string{"probe/diagnose/...", "probe/evidence", "probe/fix", "probe/walk", "probe/filter", "probe/eventtext", "probe/harmless",
	"probe/flows"}

// impure are the packages, and impureNames what of others, that have no business there.
var (
	impure      = []string{"os/...", "io/fs", "net/http/...", "golang.org/x/sys/...", "log/...", "context", "unsafe"}
	impureNames = regexp.MustCompile(`^(net\.(Dial|Listen|Lookup|Interface|Default)|time\.(Now|Since|Until|Sleep|After|Tick|NewTi))`)
)

// TestPureRooms holds "no I/O" against what they import and call.
func TestPureRooms(t *testing.T) {
	s := theSource(t)
	for _, f := range s.files {
		if f.test() || !slices.ContainsFunc(pure, func(p string) bool { return within(f.room(), p) }) {
			continue
		}
		for _, imported := range f.imports() {
			if slices.ContainsFunc(impure, func(p string) bool { return within(imported, p) }) {
				t.Errorf("%s imports %s, and %s is pure", f.path, imported, f.room())
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && impureNames.MatchString(x.Name+"."+sel.Sel.Name) {
				t.Errorf("%s uses %s.%s, and %s is pure", s.fset.Position(sel.Pos()), x.Name, sel.Sel.Name, f.room())
			}
			return true
		})
	}
}

// observers look at a host, and import none of the rooms that change one.
var (
	observers = []string{"node/observe", "node/explain", "node/trace", "node/control", "node/internal/metrics", "node/remote", "probe/..."}
	changers  = []string{"node/plan", "node/link", "node/internal/address", "node/route", "node/internal/rule",
		"node/internal/nftables", "node/internal/sysctl", "node/hook"}
)

func TestObserversChangeNothing(t *testing.T) {
	for _, f := range theSource(t).files {
		if f.test() || !slices.ContainsFunc(observers, func(p string) bool { return within(f.room(), p) }) {
			continue
		}
		for _, imported := range f.imports() {
			if room, ours := strings.CutPrefix(imported, module+"/"); ours && slices.Contains(changers, room) {
				t.Errorf("%s imports %s, and %s only looks", f.path, room, f.room())
			}
		}
	}
}

// within reports whether a path is that of pattern, or, if pattern ends in "/...",
// also one below it.
func within(name, pattern string) bool {
	above, below := strings.CutSuffix(pattern, "/...")
	return name == above || below && strings.HasPrefix(name, above+"/")
}

// The table is read as a person reads it.
func TestReadTable(t *testing.T) {
	tab := readTable(t)
	for _, room := range []string{"probe", "node/lab", "cmd/wgnode"} {
		if _, ok := tab.rank[room]; !ok {
			t.Errorf("%s is not among the rooms %v", room, tab.rooms)
		}
	}
	byRank := func(a, b string) int { return cmp.Compare(tab.rank[a], tab.rank[b]) }
	if !slices.IsSortedFunc([]string{"probe", "tunnel", "node", "cmd/wgnode"}, byRank) {
		t.Errorf("probe, tunnel, node and cmd are in another order in %v", tab.rooms)
	}
}
