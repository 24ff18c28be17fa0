package config

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// alongside are lines that a key needs in its table besides the required ones, by
// "TABLE KEY".
var alongside = map[string]string{
	"interface search":          `dns = ["10.0.0.53"]`,
	"interface kill_switch_lan": "kill_switch = true",
}

// other values than the reference gives, where that has the default.
var otherValues = map[string]string{
	"interface name": `"wg1"`, "interface table": `"off"`, "interface save_config": "true", "interface kill_switch": "true",
	"interface kill_switch_lan": "true", "interface listen_port": "51821", "dns prefer": `"ipv4"`,
}

// withKey is a .toml with one key in it, and what that needs; and the same without the key.
func withKey(table *tomlTable, k *tomlKey, examples map[string]string) (with, without string) {
	name := table.name + " " + k.name
	value := examples[name]
	if v := otherValues[name]; v != "" {
		value = v
	}
	var b strings.Builder
	if table.name != "interface" {
		b.WriteString("[interface]\n")
	}
	b.WriteString(table.header() + "\n")
	for _, r := range table.required {
		if r != k.name {
			b.WriteString(r + " = " + examples[table.name+" "+r] + "\n")
		}
	}
	if line := alongside[name]; line != "" {
		b.WriteString(line + "\n")
	}
	without = b.String()
	if len(table.oneOf) > 0 && slices.Contains(table.oneOf[0], "password") { // a user needs one, and the reverse
		other := "user = \"alice\"\n"
		if k.name == "user" {
			other = "password = \"secret\"\n"
		}
		if k.name != "listen" {
			b.WriteString(other)
		}
	}
	with = b.String() + k.name + " = " + value + "\n"
	if k.name == "idle_timeout" {
		udp := strings.NewReplacer(`"tcp"`, `"udp"`)
		return udp.Replace(with), udp.Replace(without)
	}
	return with, without
}

// said compares what two configurations say, not where.
var said = []cmp.Option{
	cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && unicode.IsLower(rune(field.Name()[0]))
	}, cmp.Ignore()),
	cmpopts.IgnoreFields(Peer{}, "Line"),
	cmpopts.EquateComparable(),
}

// Every key of a .toml has all its parts: it is read, written, told apart, kept by a save,
// listed where a .conf cannot say it or written into one, and has its place on reload and
// without an interface. A key that is added and lacks one fails here, by the name of the
// part.
func TestEveryKeyIsWhole(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	examples := examplesOf(string(text))
	for i := range tomlTables {
		table := &tomlTables[i]
		for n := range table.keys {
			k := &table.keys[n]
			t.Run(table.header()+" "+k.name, func(t *testing.T) { checkKey(t, table, k, examples) })
		}
	}
	for _, k := range Keys() {
		if k.Stack == "" || k.Reload == "" {
			t.Errorf("%s.%s: say in its row, or its table's, what a node without an interface does with it (stack), "+
				"and what a reload changes (reload)", k.Table, k.Name)
		}
	}
}

func checkKey(t *testing.T, table *tomlTable, k *tomlKey, examples map[string]string) {
	with, without := withKey(table, k, examples)
	read := func(text string) *Config {
		t.Helper()
		c, err := ParseTOML(strings.NewReader(text), "wg0.toml")
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		return c
	}
	c := read(with)
	var written bytes.Buffer
	if err := c.WriteTOML(&written); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, read(written.String()), said...); d != "" {
		t.Errorf("set or write: read, written (toml_write.go, toml_services.go) and read again, it is another:\n%s\n%s", written.String(), d)
	}
	if !strings.Contains(written.String(), k.name+" = ") && !strings.HasPrefix(k.name, "persistent") {
		t.Errorf("write: WriteTOML leaves it out:\n%s", written.String())
	}
	if !required(table, k.name) {
		if c.Same(read(without)) {
			t.Error("same: with and without the key, configurations count as the same (same.go)")
		}
	}
	if saved, err := c.rewrite("# a comment\n" + with); err != nil {
		t.Errorf("save: %v", err)
	} else if d := cmp.Diff(c, read(saved), said...); d != "" {
		t.Errorf("save: Save loses it (rewrite.go):\n%s\n%s", saved, d)
	}
	checkConf(t, table, k, c)
}

// checkConf wants of a key that a .conf has that it is written there, and of another that
// it is listed as what a .conf cannot say.
func checkConf(t *testing.T, table *tomlTable, k *tomlKey, c *Config) {
	if k.name == "name" {
		return // the name of the file, or a comment
	}
	beyond := c.BeyondConf()
	if k.conf == "" || (k.set != nil && strings.Contains(k.name, "_key_")) {
		if len(beyond) == 0 {
			t.Error("beyond: convert would lose it: BeyondConf (beyond.go) does not list it")
		}
		return
	}
	if len(beyond) > 0 {
		t.Fatalf("beyond: a .conf has %s, and BeyondConf lists %v", k.conf, beyond)
	}
	var conf bytes.Buffer
	if err := c.WriteConf(&conf); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(strings.NewReader(conf.String()), "wg0.conf")
	if err != nil {
		t.Fatalf("%v in\n%s", err, conf.String())
	}
	if d := cmp.Diff(c, again, append(said, cmpopts.IgnoreFields(Config{}, "Path"))...); d != "" {
		t.Errorf("write: WriteConf (write.go) loses %s of %s:\n%s\n%s", k.name, table.header(), conf.String(), d)
	}
}

func required(table *tomlTable, name string) bool { return slices.Contains(table.required, name) }
