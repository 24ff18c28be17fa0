//go:build linux

package resolver

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseKind(t *testing.T) {
	for s, want := range map[string]Kind{
		"": Auto, "auto": Auto, "systemd-resolved": Resolved, "resolvconf": Resolvconf, "file": File, "off": Off,
	} {
		if k, err := ParseKind(s); err != nil || k != want {
			t.Errorf("%q: %q, %v", s, k, err)
		}
	}
	_, err := ParseKind("resolved")
	if err == nil || err.Error() != `unknown resolver "resolved": there are auto, systemd-resolved, resolvconf, file and off` {
		t.Errorf("error: %v", err)
	}
}

func settings(link, servers string, search ...string) Settings {
	s := Settings{Link: link, Search: search, AllNames: true}
	for _, a := range strings.Fields(servers) {
		s.Servers = append(s.Servers, netip.MustParseAddr(a))
	}
	return s
}

func TestCommands(t *testing.T) {
	both := settings("wg0", "10.0.0.1 fd00::1", "corp.example", "~lab.example")
	split := both
	split.AllNames = false
	for _, c := range []struct {
		choice     Choice
		settings   Settings
		want, undo string
	}{
		{Choice{Kind: Resolved}, both,
			"resolvectl dns wg0 10.0.0.1 fd00::1 && resolvectl domain wg0 corp.example '~lab.example' '~.' && resolvectl default-route wg0 yes",
			"resolvectl revert wg0"},
		{Choice{Kind: Resolved}, split,
			"resolvectl dns wg0 10.0.0.1 fd00::1 && resolvectl domain wg0 corp.example '~lab.example' && resolvectl default-route wg0 no",
			"resolvectl revert wg0"},
		{Choice{Kind: Resolvconf, Prefix: "tun."}, both, "resolvconf -a tun.wg0 -m 0 -x", "resolvconf -d tun.wg0 -f"},
		{Choice{Kind: Resolvconf}, split, "resolvconf -a wg0 -m 0", "resolvconf -d wg0 -f"},
		{Choice{Kind: File, Before: &Snapshot{}}, settings("wg0", "10.0.0.1", "a", "b"),
			`printf 'nameserver 10.0.0.1\nsearch a b\n' > /etc/resolv.conf`, "cp /dev/fd/63 /etc/resolv.conf"},
		{Choice{Kind: File, Before: &Snapshot{Absent: true}}, settings("wg0", "10.0.0.1"),
			`printf 'nameserver 10.0.0.1\n' > /etc/resolv.conf`, "rm /etc/resolv.conf"},
		{Choice{Kind: File, Before: &Snapshot{Target: "../run/x"}}, settings("wg0", "10.0.0.1"),
			`printf 'nameserver 10.0.0.1\n' > /etc/resolv.conf`, "ln -sfn ../run/x /etc/resolv.conf"},
	} {
		ch, err := c.choice.Change(c.settings)
		if err != nil {
			t.Fatal(err)
		}
		if got := ch.Command(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if got := ch.UndoCommand(); got != c.undo {
			t.Errorf("got  %s\nwant %s", got, c.undo)
		}
	}
}

// What would be read as something else is refused.
func TestSettingsRefused(t *testing.T) {
	for _, s := range []Settings{
		settings("wg0", ""),
		settings("wg0", "10.0.0.1", ""),
		settings("wg0", "10.0.0.1", "a b"),
		settings("wg0", "10.0.0.1", "a\nnameserver 192.0.2.1"),
		settings("wg0", "10.0.0.1", "a\x1b[2J"),
		{Link: "wg0", Servers: []netip.Addr{{}}},
		{Link: "wg0", Servers: []netip.Addr{netip.MustParseAddr("fe80::1").WithZone("a\nb")}},
	} {
		if c, err := (Choice{Kind: Resolvconf}).Change(s); err == nil {
			t.Errorf("%q was accepted", c.lines())
		}
	}
}

func TestNote(t *testing.T) {
	many := settings("wg0", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4")
	for _, c := range []struct {
		kind Kind
		s    Settings
		want string
	}{
		{File, many, "most programs ask only the first 3 of the 4 name servers in /etc/resolv.conf"},
		{File, settings("wg0", "10.0.0.1 10.0.0.2 10.0.0.3"), ""},
		{Resolved, many, ""},
	} {
		ch, err := Choice{Kind: c.kind}.Change(c.s)
		if err != nil {
			t.Fatal(err)
		}
		if got := ch.Note(); got != c.want {
			t.Errorf("%s: %q", c.kind, got)
		}
	}
}
