//go:build linux

package repair

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/pin"
)

// A command is split as a shell does it, or not run.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string // nil: it takes a shell
	}{
		{line: "ip -4 route add 10.0.0.0/8 dev wg0", want: []string{"ip", "-4", "route", "add", "10.0.0.0/8", "dev", "wg0"}},
		{line: `nft add rule inet f c iifname "wg 0"  accept`,
			want: []string{"nft", "add", "rule", "inet", "f", "c", "iifname", "wg 0", "accept"}},
		{line: `wg set 'wg 0' peer K allowed-ips ''`, want: []string{"wg", "set", "wg 0", "peer", "K", "allowed-ips", ""}},
		{line: "date -s \"$(curl example)\""},
		{line: "true; reboot"},
		{line: "echo a > /etc/passwd"},
		{line: "echo 'a"},
		{line: " "},
	} {
		got, err := words(c.line)
		if !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%q: %q, %v, want %q", c.line, got, err, c.want)
		}
	}
}

// What only the user can know is found, and no part of a command is taken for it.
func TestBlank(t *testing.T) {
	for text, want := range map[string]bool{
		"ip route add 10.0.0.1 via GATEWAY dev eth0": true, "ADDRESS/LENGTH": true, "HOST:PORT": true, "192.0.2.1:PORT": true,
		"ITS-TUNNEL-ADDRESS/32": true, "10.0.0.0/8, ADDRESS/32": true, "...": true,
		"10.0.0.0/8,fd00::/8": false, "FD00::1/64": false, "ip link set wg0 up": false,
	} {
		if isBlank(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// Of several ways to mend something the first that can be taken is.
func TestPlanTakesOneWay(t *testing.T) {
	insert := func(port string) fix.Step { return fix.Command("nft insert rule inet f c tcp dport %s accept", port) }
	for _, c := range []struct {
		name  string
		steps fix.Steps
		want  []string
	}{
		{name: "all", steps: fix.Steps{insert("1"), fix.Note("and:"), insert("2")}, want: []string{"1", "2"}},
		{name: "the first case",
			steps: fix.Steps{fix.Note("if it is bob:"), insert("1"), fix.Note("if it is carol:"), insert("2")}, want: []string{"1"}},
		{name: "at once is no other way", steps: fix.Steps{fix.Note("in FILE:"), insert("1"), fix.Note("or at once:"), insert("2")},
			want: []string{"1", "2"}},
		{name: "the other way, where the first cannot be undone",
			steps: fix.Steps{fix.Command("wgnode reload wg0"), fix.Note("or:"), insert("2"), fix.Note("or:"), insert("3")}, want: []string{"2"}},
		{name: "half of a group", steps: fix.Steps{insert("1"), fix.Command("wgnode reload wg0"), fix.Note("and:"), insert("2")},
			want: []string{"2"}},
		{name: "half of a group, and then another way",
			steps: fix.Steps{insert("1"), fix.Command("wgnode reload wg0"), fix.Note("or:"), insert("2")}, want: []string{"2"}},
		{name: "another host's", steps: fix.Steps{insert("1").On("bob"), insert("2")}, want: []string{"2"}},
		{name: "unknown value", steps: fix.Steps{fix.Command("ip route add 10.0.0.1 via GATEWAY dev eth0"), fix.Check("nft list ruleset")}},
	} {
		var got []string
		for _, s := range Doable(Plan(t.Context(), c.steps, "")) {
			got = append(got, strings.Fields(s.Command)[8])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A line of a file takes the place of another, and goes again; the rest of the file, the
// keys in it above all, is in no journal.
func TestEdit(t *testing.T) {
	const quick = "[Interface]\nPrivateKey = SECRET\n\n[Peer]\nPublicKey = BOB=\nAllowedIPs = 10.0.0.2/32\n\n" +
		"[Peer]\nPublicKey = CAROL=\nAllowedIPs = 10.0.0.3/32\n"
	const toml = "[interface]\nprivate_key = \"SECRET\"\n[[peer]]\npublic_key = \"CAROL=\"\nallowed_ips = [\"10.0.0.3/32\"]\n"
	for _, c := range []struct {
		name, file, text string
		where            fix.Where
		key, value       string
		old, new         string // of the text; old "" if it is not edited
	}{
		{name: "replaced", file: "wg0.conf", text: quick, where: fix.Where{Section: "Peer", Peer: "CAROL="},
			key: "AllowedIPs", value: "10.0.0.3/32, 10.9.0.0/16",
			old: "AllowedIPs = 10.0.0.3/32\n", new: "AllowedIPs = 10.0.0.3/32, 10.9.0.0/16\n"},
		{name: "new", file: "wg0.conf", text: quick, where: fix.Where{Section: "Interface"}, key: "MTU", value: "1280",
			old: "SECRET\n", new: "SECRET\nMTU = 1280\n"},
		{name: "TOML", file: "wg0.toml", text: toml, where: fix.Where{Section: "Peer", Peer: "CAROL="},
			key: "AllowedIPs", value: "10.9.0.0/16",
			old: "allowed_ips = [\"10.0.0.3/32\"]\n", new: "allowed_ips = [\"10.9.0.0/16\"]\n"},
		{name: "no such peer", file: "wg0.conf", text: quick, where: fix.Where{Section: "Peer", Peer: "DAVE="},
			key: "AllowedIPs", value: "10.9.0.0/16"},
		{name: "secret", file: "wg0.conf", text: quick, where: fix.Where{Section: "Peer", Peer: "BOB="}, key: "PresharedKey", value: "KEY"},
		{name: "several lines", file: "wg0.conf",
			text:  strings.Replace(quick, "AllowedIPs", "AllowedIPs = 10.1.0.0/16\nAllowedIPs", 1),
			where: fix.Where{Section: "Peer", Peer: "BOB="}, key: "AllowedIPs", value: "10.9.0.0/16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := t.TempDir()
			c.where.File = filepath.Join(run, c.file)
			must(t, os.WriteFile(c.where.File, []byte(c.text), 0o600))
			plan := Plan(t.Context(), fix.Steps{fix.Config(c.where, c.key, c.value)}, "")
			if does := plan[0].Does(); does != (c.old != "") {
				t.Fatalf("does %v: %s", does, plan[0].Why)
			}
			if c.old == "" {
				return
			}
			j := In(run)
			r, err := j.Apply(t.Context(), "wg0", "no-allowedips-match", Doable(plan), func(string) {})
			must(t, err)
			if got, want := read(t, c.where.File), strings.Replace(c.text, c.old, c.new, 1); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			record := filepath.Join(run, "fixes", "1.json")
			if info, err := os.Stat(record); err != nil || info.Mode().Perm() != 0o600 || strings.Contains(read(t, record), "SECRET") {
				t.Errorf("the journal: %v, %v", info, err)
			}
			must(t, j.Undo(t.Context(), *r, func(string) {}))
			if got := read(t, c.where.File); got != c.text {
				t.Errorf("undone:\n%s", got)
			}
			if left, err := j.List(); err != nil || len(left) > 0 {
				t.Errorf("left: %+v, %v", left, err)
			}
		})
	}
}

// What a journal has is read by later versions: keys are added, and none is renamed.
func TestWritten(t *testing.T) {
	pin.Check(t, "testdata/written.txt", new(Record))
}

// What somebody has changed since is said, and left alone.
func TestUndoLeavesWhatChanged(t *testing.T) {
	run := t.TempDir()
	file := filepath.Join(run, "wg0.conf")
	must(t, os.WriteFile(file, []byte("[Interface]\nMTU = 1420\n"), 0o600))
	j := In(run)
	r, err := j.Apply(t.Context(), "wg0", "mtu-too-large", fix.Steps{fix.Config(fix.Where{File: file, Section: "Interface"}, "MTU", "1280")},
		func(string) {})
	must(t, err)
	must(t, os.WriteFile(file, []byte("[Interface]\nMTU = 1300\n"), 0o600))
	var said []string
	must(t, j.Undo(t.Context(), *r, func(line string) { said = append(said, line) }))
	if len(said) != 1 || !strings.Contains(said[0], "left as it is") || read(t, file) != "[Interface]\nMTU = 1300\n" {
		t.Errorf("said %q, and the file is %q", said, read(t, file))
	}
}

// A fix that fails half-way leaves nothing, neither of it nor in the journal.
func TestApplyFailsHalfWay(t *testing.T) {
	run := t.TempDir()
	file := filepath.Join(run, "wg0.conf")
	const text = "[Interface]\nMTU = 1420\n"
	must(t, os.WriteFile(file, []byte(text), 0o600))
	own := fix.Where{File: file, Section: "Interface"}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := In(run).Apply(ctx, "wg0", "mtu-too-large", fix.Steps{fix.Config(own, "MTU", "1280"), fix.Config(own, "DNS", "10.0.0.1")},
		func(string) { cancel() })
	if !errors.Is(err, context.Canceled) || read(t, file) != text {
		t.Errorf("%v, and the file is %q", err, read(t, file))
	}
	if left, err := In(run).List(); err != nil || len(left) > 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}
