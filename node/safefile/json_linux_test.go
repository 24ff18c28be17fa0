package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is written is read, and what is there in its place is not.
func TestJSON(t *testing.T) {
	type value struct {
		A string `json:"a"`
	}
	name := filepath.Join(t.TempDir(), "x.json")
	if err := WriteJSON(name, true, value{"1"}); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(name, true, value{"2"}); !errors.Is(err, os.ErrExist) {
		t.Errorf("a new one in place of another: %v", err)
	}
	var v value
	if err := ReadJSON(name, 100, &v); err != nil || v.A != "1" {
		t.Errorf("%+v, %v", v, err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for what, text := range map[string]string{"cut off": `{"a":"1`, "too long": `{"a":"` + strings.Repeat("1", 100) + `"}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ReadJSON(name, 100, &v); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := ReadJSON(name+".no", 100, &v); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	var other *Untrusted
	if err := ReadJSON(name, 1000, &v); !errors.As(err, &other) {
		t.Errorf("that others can write: %v", err)
	}
}
