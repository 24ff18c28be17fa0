package probe

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// What a later release has written is read: the event keeps its numbers, and can be
// written again.
func TestNewerNumbers(t *testing.T) {
	b := written(t, &Event{Seam: SeamUDPReceive, Checkpoint: B3, Kind: KindData, PrefixBits: NoPrefix, OuterLen: 96})
	for _, at := range []int{120, 122, 124} { // seam, kind and reason
		b[at] = 200
	}
	var e Event
	e.SetBinary(b)
	if e.Seam.String() != "unknown(200)" || e.Kind.String() != "unknown(200)" || e.Reason.String() != "unknown(200)" ||
		!e.Dropped() || e.Checkpoint != B3 || e.OuterLen != 96 {
		t.Errorf("read as %+v", e)
	}
	if again := written(t, &e); *again != *b {
		t.Errorf("written again as %x, was %x", *again, *b)
	}
	if LaneOf(&e) != LaneControl || e.Seam.Direction() != "" || e.Reason.Meaning() != "" {
		t.Errorf("lane %v, direction %q, meaning %q", LaneOf(&e), e.Seam.Direction(), e.Reason.Meaning())
	}
	b[121] = 200 // a checkpoint is an index of arrays
	if e.SetBinary(b); e.Checkpoint != CheckpointNone {
		t.Errorf("checkpoint %d", e.Checkpoint)
	}
}

func written(t *testing.T, e *Event) *[EventSize]byte {
	t.Helper()
	b, err := e.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return (*[EventSize]byte)(b)
}

// Each number has a row of its own in its table, and all of the row is filled in.
func TestTables(t *testing.T) {
	seen := make(map[string]bool)
	unique := func(what, name string) {
		t.Helper()
		if name == "" || seen[name] {
			t.Errorf("%s: name %q is empty, or that of another one", what, name)
		}
		seen[name] = true
	}
	for r := ReasonNone + 1; int(r) < NumReasons; r++ {
		if unique("reason", r.String()); r.Meaning() == "" {
			t.Errorf("reason %v has no meaning", r)
		}
	}
	orders := make(map[int]bool)
	for _, c := range Checkpoints("") {
		unique("checkpoint", c.String())
		if c.Side() == "" || c.Seam() == SeamNone || c.Text() == "" || c.Order() == 0 || orders[c.Order()] {
			t.Errorf("checkpoint %v: %+v", c, checkpoints[c])
		}
		orders[c.Order()] = true
	}
	seams, _, kinds, _ := Names()
	for _, name := range append(seams, kinds...) {
		unique("seam or kind", name)
	}
}

func BenchmarkEncode(b *testing.B) {
	e := Event{Time: 1, Seam: SeamUDPSend, Checkpoint: A4, Kind: KindData, Receiver: 7, Counter: 9, OuterLen: 96}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = e.AppendBinary(buf[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	e := Event{Time: 1, Seam: SeamUDPSend, Checkpoint: A4, Kind: KindData, Receiver: 7, Counter: 9, OuterLen: 96}
	buf, _ := e.AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		e.SetBinary((*[EventSize]byte)(buf))
	}
}

// Each constant has a row in its table: without one it would be written as a number that
// has no name.
func TestEveryConstantHasARow(t *testing.T) {
	tables := map[string][]string{"Seam": seamNames, "Checkpoint": checkpointNames, "Kind": kindNames, "Reason": reasonNames}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	numbers := make(map[string]map[int]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, _ := spec.Type.(*ast.Ident)
			value, _ := spec.Values[0].(*ast.BasicLit)
			if typ == nil || value == nil || tables[typ.Name] == nil {
				return true
			}
			i, err := strconv.Atoi(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			if numbers[typ.Name] == nil {
				numbers[typ.Name] = make(map[int]string)
			}
			if other := numbers[typ.Name][i]; other != "" {
				t.Errorf("%s %d is %s and %s", typ.Name, i, other, spec.Names[0])
			}
			numbers[typ.Name][i] = spec.Names[0].Name
			if i >= len(tables[typ.Name]) || i > 0 && tables[typ.Name][i] == "" {
				t.Errorf("%s %s = %d has no row in its table", typ.Name, spec.Names[0], i)
			}
			return true
		})
	}
	for typ, names := range tables {
		if len(numbers[typ]) != len(names) {
			t.Errorf("%s has %d constants and %d rows", typ, len(numbers[typ]), len(names))
		}
	}
}
