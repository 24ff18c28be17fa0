package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	behind := write(t, dir, "office.conf", "[Interface]\nMTU = 1400")
	path := filepath.Join(dir, "wg0.conf")
	if err := os.Symlink(behind, path); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "wg0" || filepath.Base(c.Path) != "office.conf" || c.Interface.MTU != 1400 {
		t.Errorf("got %+v", c)
	}
	if w := c.Warnings(); w != nil {
		t.Errorf("warns about a file of mode 0600: %v", w)
	}

	if err := os.Chmod(behind, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if c, err = Load(path); err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(c.Warnings(), "\n"); !strings.HasSuffix(w, "office.conf' is world accessible") {
		t.Errorf("a file that all can read: warnings %q", w)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if c, err = Load(path); err != nil || c.Warnings() != nil {
		t.Errorf("in a folder that is closed: warnings %v, error %v", c.Warnings(), err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "wg0.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, name := range []string{"wg0.txt", "a name.conf", "sixteen-letters-.conf", ".conf", "..conf"} {
		if c, err := Load(write(t, dir, name, "")); err == nil {
			t.Errorf("%s: accepted as interface %q", name, c.Name)
		}
	}
	bad := write(t, dir, "bad.conf", "[Interface]\nMTU=x")
	if _, err := Load(bad); err == nil || !strings.Contains(err.Error(), "bad.conf:2: MTU: ") {
		t.Errorf("bad content: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "dir.conf")); err == nil {
		t.Error("accepted a folder")
	}
}

func TestFind(t *testing.T) {
	etc, cwd := t.TempDir(), t.TempDir()
	f := finder{Dir: etc, Cwd: cwd}
	expect := func(arg, want string) {
		t.Helper()
		if got, err := f.find(arg); err != nil || got != want {
			t.Errorf("Find(%q) = %q, %v; want %q", arg, got, err, want)
		}
	}
	refuse := func(arg string, words ...string) {
		t.Helper()
		got, err := f.find(arg)
		if err == nil {
			t.Errorf("Find(%q) = %q", arg, got)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("Find(%q): %q does not mention %q", arg, err, w)
			}
		}
	}

	refuse("", etc, "wgnode.toml")
	wg0 := write(t, etc, "wg0.conf", "")
	write(t, etc, "README", "")
	expect("", wg0)
	expect("wg0", wg0)
	expect(wg0, wg0)
	refuse("wg1", "no configuration for wg1: neither "+filepath.Join(etc, "wg1.conf")+" nor wg1.toml exists")
	refuse("interface-names-are-short", "name too long: interface names have at most 15 characters")
	write(t, etc, "wg1.conf", "")
	refuse("", "wg0.conf, wg1.conf")

	// wg-quick takes this word for an interface; so do we, if there is one.
	refuse("my.conf", filepath.Join(cwd, "my.conf")+" does not exist")
	refuse("wg0.conf", filepath.Join(cwd, "wg0.conf")+" does not exist")
	if _, err := f.find("wg0.conf"); !errors.Is(err, fs.ErrNotExist) || err.(*NotFoundError).Name != "wg0" {
		t.Errorf("of wg0.conf, which is wg0's, it says %#v", err)
	}
	my := write(t, cwd, "my.conf", "")
	expect("my.conf", my)
	expect("my.conf", write(t, etc, "my.conf.conf", ""))
	if err := os.Remove(filepath.Join(etc, "my.conf.conf")); err != nil {
		t.Fatal(err)
	}
	expect(filepath.Join(cwd, "my.conf"), filepath.Join(cwd, "my.conf"))

	toml := write(t, cwd, "wgnode.toml", "")
	expect("", toml)
	refuse("other.toml", "other.toml does not exist")

	if _, err := (finder{Dir: filepath.Join(etc, "none"), Cwd: etc}).find(""); err == nil {
		t.Error("found something in a folder that does not exist")
	}
}
