// Package docpage holds pages of docs that are made from the code against it, for tests.
// A page is written, not compared, where the tests run with a flag -update, which the
// package of the test defines.
package docpage

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Made begins each page, for whoever would edit it: the command is the test that makes it.
func Made(command string) string {
	return "<!-- Made from the code: do not edit. " + command + " -update -->\n\n"
}

// Check compares a file of docs, such as "metrics.md", with what the code makes of it.
func Check(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join(Docs(t), name)
	if Updating() {
		write(t, path, want)
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("docs/%s is not what the code makes of it (%v): go test -run %s -update", name, err, t.Name())
	}
}

// CheckFolder compares all files of a folder of docs. One that the code does not make is
// an error, too, and is removed with -update.
func CheckFolder(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	for name, text := range want {
		Check(t, filepath.Join(folder, name), text)
	}
	entries, err := os.ReadDir(filepath.Join(Docs(t), folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; ok {
			continue
		}
		if !Updating() {
			t.Errorf("docs/%s/%s is not made by the code any more: go test -run %s -update", folder, e.Name(), t.Name())
			continue
		}
		if err := os.Remove(filepath.Join(Docs(t), folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// Updating says that the tests run with -update.
func Updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Docs is the folder docs of this module.
func Docs(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		switch {
		case err == nil:
			return filepath.Join(dir, "docs")
		case !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir):
			t.Fatalf("find the top of the module: %v", err)
		}
		dir = filepath.Dir(dir)
	}
}

// Cell is a text for one cell of a table.
func Cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// Code is a text as code, for a cell of a table; "" stays.
func Code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + Cell(text) + "`"
}
