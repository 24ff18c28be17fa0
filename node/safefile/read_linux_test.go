package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"text": "hello",
		"large": strings.Repeat("x", 101), "full": strings.Repeat("x", 100), "empty": ""} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(path("pipe"), 0o600), os.Symlink("pipe", path("to-pipe")), os.Symlink("text", path("to-text")),
		os.Symlink("/dev/zero", path("to-zero")), os.Symlink("/dev/null", path("to-null"))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, want, err string }{
		{name: "text", want: "hello"},
		{name: "to-text", want: "hello"},
		{name: "full", want: strings.Repeat("x", 100)},
		{name: "empty"},
		{name: "large", err: "larger than 100 bytes"},
		{name: "pipe", err: "not a regular file"},
		{name: "to-pipe", err: "not a regular file"},
		{name: "to-null"},
		{name: "to-zero", err: "not a regular file"},
		{name: ".", err: "is a directory"},
		{name: "none", err: "no such file"},
	} {
		got, err := Read(path(test.name), 100)
		if string(got) != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v, want %q, %q", test.name, got, err, test.want, test.err)
		}
	}
}
