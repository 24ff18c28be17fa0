//go:build linux

package resolver

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/wgnode/wgnode/node/lab"
)

// bus starts a D-Bus daemon that is the system bus for this process.
func bus(t *testing.T) (address string) {
	t.Helper()
	lab.Need(t, "dbus-daemon")
	dir := t.TempDir()
	config := filepath.Join(dir, "bus.conf")
	text := `<busconfig><type>session</type><listen>unix:path=` + filepath.Join(dir, "bus") + `</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
	})
	address, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	return address
}

// service is systemd-resolved or systemd-networkd as far as name servers go. It
// keeps what it was called with.
type service struct {
	name string
	conn *dbus.Conn

	mu    sync.Mutex
	calls []string
	fails map[string]string // method to the name of an error
}

func (s *service) called(method string, index int32, args ...any) *dbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprint(append([]any{method, index}, args...)...))
	if name := s.fails[method]; name != "" {
		return dbus.NewError(name, []any{"as asked"})
	}
	return nil
}

func (s *service) SetLinkDNS(index int32, as []busAddress) *dbus.Error {
	return s.called("SetLinkDNS ", index, as)
}
func (s *service) SetLinkDomains(index int32, ds []busDomain) *dbus.Error {
	return s.called("SetLinkDomains ", index, ds)
}
func (s *service) SetLinkDefaultRoute(index int32, on bool) *dbus.Error {
	return s.called("SetLinkDefaultRoute ", index, on)
}
func (s *service) RevertLink(index int32) *dbus.Error    { return s.called("RevertLink ", index) }
func (s *service) RevertLinkDNS(index int32) *dbus.Error { return s.called("RevertLinkDNS ", index) }

// serve puts a service on the bus. What fails are pairs of method and error.
func serve(t *testing.T, address string, m manager, fails ...string) *service {
	t.Helper()
	s := &service{name: m.name, fails: map[string]string{}}
	for pair := range slices.Chunk(fails, 2) {
		s.fails[pair[0]+" "] = pair[1]
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	s.conn = conn
	if err := conn.Export(s, m.path, m.name+".Manager"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(m.name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return s
}

// took returns the calls so far, and forgets them.
func (s *service) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.calls = nil }()
	return strings.Join(s.calls, "\n")
}

func resolvedChange(t *testing.T, s Settings) Change {
	t.Helper()
	c, err := Host{}.Choose(Resolved)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := c.Change(s)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestResolved(t *testing.T) {
	s := serve(t, bus(t), resolved)
	c := resolvedChange(t, settings("wg0", "10.0.0.1 fd00::1 fe80::1%wg0", "corp.example", "~lab.example"))
	if err := (Host{}).Do(t.Context(), c, 7); err != nil {
		t.Fatal(err)
	}
	want := "SetLinkDNS 7 [{2 [10 0 0 1]} {10 [253 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]} {10 [254 128 0 0 0 0 0 0 0 0 0 0 0 0 0 1]}]\n" +
		"SetLinkDomains 7 [{corp.example false} {lab.example true} {. true}]\n" +
		"SetLinkDefaultRoute 7 true"
	if got := s.took(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err := (Host{}).Undo(c, 7); err != nil {
		t.Fatal(err)
	}
	if got := s.took(); got != "RevertLink 7" {
		t.Errorf("undo:\n%s", got)
	}

	c.Search, c.AllNames = nil, false
	if err := (Host{}).Do(t.Context(), c, 7); err != nil {
		t.Fatal(err)
	}
	if got := s.took(); !strings.HasSuffix(got, "SetLinkDomains 7 []\nSetLinkDefaultRoute 7 false") {
		t.Errorf("split:\n%s", got)
	}

	c = resolvedChange(t, settings("wg0", "fe80::1%eth0"))
	if err := (Host{}).Do(t.Context(), c, 7); err == nil || !strings.Contains(err.Error(), "not fe80::1%eth0") {
		t.Errorf("error: %v", err)
	}
}

// networkd is asked for the links that are its own.
func TestResolvedManagedLink(t *testing.T) {
	address := bus(t)
	r := serve(t, address, resolved, "SetLinkDNS", linkBusy, "RevertLink", linkBusy)
	n := serve(t, address, networkd)
	c := resolvedChange(t, settings("wg0", "10.0.0.1"))
	if err := (Host{}).Do(t.Context(), c, 7); err != nil {
		t.Fatal(err)
	}
	if got := n.took(); got != "SetLinkDNS 7 [{2 [10 0 0 1]}]\nSetLinkDomains 7 [{. true}]\nSetLinkDefaultRoute 7 true" {
		t.Errorf("networkd got:\n%s", got)
	}
	if err := (Host{}).Undo(c, 7); err != nil {
		t.Fatal(err)
	}
	if got := n.took(); got != "RevertLinkDNS 7" {
		t.Errorf("undo: networkd got:\n%s", got)
	}
	if got := r.took(); strings.Contains(got, "Domains") {
		t.Errorf("systemd-resolved got:\n%s", got)
	}
}

func TestResolvedFails(t *testing.T) {
	address := bus(t)
	if _, err := (Host{}).Choose(Resolved); err == nil || !strings.Contains(err.Error(), "systemd-resolved does not answer") {
		t.Errorf("error: %v", err)
	}
	s := serve(t, address, resolved, "SetLinkDomains", "org.freedesktop.DBus.Error.InvalidArgs")
	c := resolvedChange(t, settings("wg0", "10.0.0.1"))
	err := Host{}.Do(t.Context(), c, 7)
	if err == nil || err.Error() != "set name servers for wg0 in systemd-resolved: as asked" {
		t.Errorf("error: %v", err)
	}
	if got := s.took(); !strings.HasSuffix(got, "\nRevertLink 7") {
		t.Errorf("what was done half is not undone:\n%s", got)
	}
}

// The link, or systemd-resolved, is gone, and the settings with it.
func TestResolvedGone(t *testing.T) {
	address := bus(t)
	c := Change{Kind: Resolved, Settings: settings("wg0", "10.0.0.1")}
	if err := (Host{}).Undo(c, 7); !errors.Is(err, ErrNotSet) {
		t.Errorf("without systemd-resolved: %v", err)
	}
	serve(t, address, resolved, "RevertLink", noSuchLink)
	if err := (Host{}).Undo(c, 7); !errors.Is(err, ErrNotSet) {
		t.Errorf("without the link: %v", err)
	}
}

func TestChooseResolved(t *testing.T) {
	serve(t, bus(t), resolved)
	dir, _ := fakeResolvconf(t)
	stub := func(text string) func(string) error {
		return func(p string) error { return os.WriteFile(p, []byte(text), 0o644) }
	}
	link := func(target string) func(string) error { return func(p string) error { return os.Symlink(target, p) } }
	elsewhere := filepath.Join(t.TempDir(), "resolv.conf")
	if err := stub("nameserver 127.0.0.53\n")(elsewhere); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		make func(path string) error
		want Kind
		why  string
	}{
		{name: "link to the stub", make: link("/run/systemd/resolve/stub-resolv.conf"), want: Resolved,
			why: " is a link to /run/systemd/resolve/stub-resolv.conf"},
		{name: "stub", make: stub("# x\nnameserver 127.0.0.53\noptions edns0\nsearch home\n"), want: Resolved, why: " names only 127.0.0.53"},
		{name: "link to another stub", make: link(elsewhere), want: Resolved, why: " names only 127.0.0.53"},
		{name: "one of two", make: stub("nameserver 127.0.0.53\nnameserver 192.168.1.1\n"), want: Resolvconf},
		{name: "no server", make: stub("search home\n"), want: Resolvconf},
		{name: "dangling link", make: link("/nonexistent"), want: Resolvconf},
		{name: "absent", make: originals["absent"], want: Resolvconf},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := fileHost(t)
			h.InterfaceOrder = filepath.Join(dir, "none")
			if err := c.make(h.ResolvConf); err != nil {
				t.Fatal(err)
			}
			got, err := h.Choose(Auto)
			if err != nil || got.Kind != c.want || !strings.HasSuffix(got.Why, c.why) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}

	if err := errors.Join(
		os.Rename(filepath.Join(dir, "resolvconf"), filepath.Join(dir, "resolvectl")),
		os.Symlink("resolvectl", filepath.Join(dir, "resolvconf")),
	); err != nil {
		t.Fatal(err)
	}
	got, err := fileHost(t).Choose(Auto)
	if err != nil || got.Kind != Resolved || got.Why != "resolvconf is another name of resolvectl" {
		t.Errorf("%+v, %v", got, err)
	}
}
