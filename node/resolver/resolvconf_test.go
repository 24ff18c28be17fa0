//go:build linux

package resolver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeResolvconf makes a program resolvconf that logs how it is called, and
// fails if called with -a and a record that contains "bad". It is the only
// program in PATH but for those it needs.
func fakeResolvconf(t *testing.T) (dir, log string) {
	t.Helper()
	dir = t.TempDir()
	log = filepath.Join(dir, "log")
	script := "#!/bin/sh\n{ echo \"$*\"; cat; } >> " + log + "\ncase \"$*\" in *-a*bad*) echo no such thing >&2; exit 3;; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "resolvconf"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir, log
}

func TestResolvconf(t *testing.T) {
	_, log := fakeResolvconf(t)
	for _, c := range []struct{ link, fails, want string }{
		{"wg0", "", "-a tun.wg0 -m 0 -x\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch a b\n-d tun.wg0 -f\n"},
		{"bad0", `resolvconf -a tun.bad0 -m 0 -x: exit status 3: "no such thing"`,
			"-a tun.bad0 -m 0 -x\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch a b\n-d tun.bad0 -f\n"},
	} {
		ch, err := Choice{Kind: Resolvconf, Prefix: "tun."}.Change(settings(c.link, "10.0.0.1 fd00::1", "a", "b"))
		if err != nil {
			t.Fatal(err)
		}
		err = Host{}.Do(t.Context(), ch, 0)
		if c.fails == "" && err == nil {
			err = Host{}.Undo(ch, 0)
		}
		if (err == nil) != (c.fails == "") || err != nil && err.Error() != c.fails {
			t.Errorf("error: %v, want %q", err, c.fails)
		}
		got, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("calls:\n%swant:\n%s", got, c.want)
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordPrefix(t *testing.T) {
	dir, _ := fakeResolvconf(t)
	order := filepath.Join(dir, "interface-order")
	for _, c := range []struct{ order, want string }{
		{"", ""},
		{"# comment\nlo.inet6\nlo.@(dhclient|pump)*\n@(br|eth)*\ntun*\ntap*\n", "tun."},
		{"eth*.@(x)\nlo\n", ""},
	} {
		if err := os.WriteFile(order, []byte(c.order), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := (Host{InterfaceOrder: order}).recordPrefix(); err != nil || got != c.want {
			t.Errorf("%q: %q, %v", c.order, got, err)
		}
	}
	if got, err := (Host{InterfaceOrder: filepath.Join(dir, "none")}).recordPrefix(); err != nil || got != "" {
		t.Errorf("without the file: %q, %v", got, err)
	}
	if err := os.Rename(filepath.Join(dir, "resolvconf"), filepath.Join(dir, "openresolv")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("openresolv", filepath.Join(dir, "resolvconf")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(order, []byte("tun*\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := (Host{InterfaceOrder: order}).recordPrefix(); err != nil || got != "" {
		t.Errorf("for a link: %q, %v", got, err)
	}
}

func TestChooseResolvconf(t *testing.T) {
	dir, log := fakeResolvconf(t)
	h := fileHost(t)
	h.InterfaceOrder = filepath.Join(dir, "none")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
	c, err := h.Choose(Auto)
	if err != nil || c.Kind != Resolvconf || c.Why != filepath.Join(dir, "resolvconf")+" is installed" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("resolvconf was called")
	}

	// Another name of resolvectl, and nothing behind it.
	if err := os.Rename(filepath.Join(dir, "resolvconf"), filepath.Join(dir, "resolvectl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("resolvectl", filepath.Join(dir, "resolvconf")); err != nil {
		t.Fatal(err)
	}
	c, err = h.Choose(Auto)
	if err != nil || c.Kind != File || !strings.Contains(c.Why, "systemd-resolved does not answer") {
		t.Errorf("%+v, %v", c, err)
	}

	t.Setenv("PATH", t.TempDir())
	if _, err := h.Choose(Resolvconf); err == nil || !strings.Contains(err.Error(), "the configuration says resolvconf") {
		t.Errorf("error: %v", err)
	}
	c, err = h.Choose(Auto)
	if err != nil || c.Kind != File || !c.Before.Absent || c.Why != "resolvconf is not installed, and "+h.ResolvConf+
		" is not systemd-resolved's" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := h.Choose(Off); err != nil || c.Kind != Off {
		t.Errorf("%+v, %v", c, err)
	}
}
