package config

import (
	"bytes"
	"encoding/json"
	flags "flag"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/wgnode/wgnode/probe/schema/schematest"
)

var update = flags.Bool("update", false, "write the schema of wgnode.toml instead of comparing it")

// schemaName is the document by which editors complete a wgnode.toml, in docs/schema.
const schemaName = "wgnode.toml"

// choices are the values of the keys that have few.
var choices = map[string][]string{"resolver": resolvers, "protocol": protocols, "prefer": {"ipv4", "ipv6"},
	"telemetry protocol": {ProtocolHTTP, ProtocolGRPC}}

func choicesOf(table, key string) []string {
	if values := choices[table+" "+key]; values != nil {
		return values
	}
	return choices[key]
}

type node = map[string]any

// tomlSchema is the schema of a wgnode.toml, of the tables that the parser has, with what
// the reference says about each key.
func tomlSchema(t *testing.T) node {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	about := explained(string(text))
	root := node{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "wgnode.toml",
		"description":          "A configuration of wgnode in its own format.",
		"type":                 "object",
		"properties":           node{},
		"additionalProperties": false,
	}
	objects := map[string]node{"": root}
	for i := range tomlTables {
		table := &tomlTables[i]
		if table.name == "" {
			continue
		}
		o := node{"type": "object", "properties": node{}, "additionalProperties": false}
		objects[table.name] = o
		for _, k := range table.keys {
			p := kindSchema(k.kind)
			if values := choicesOf(table.name, k.name); values != nil {
				p["enum"] = values
			}
			if said := about[table.name+" "+k.name]; said != "" {
				p["description"] = said
			}
			o["properties"].(node)[k.name] = p
		}
		if len(table.required) > 0 {
			o["required"] = table.required
		}
		var not []node
		for _, names := range table.oneOf {
			for i, a := range names {
				for _, b := range names[i+1:] {
					not = append(not, node{"not": node{"required": []string{a, b}}})
				}
			}
		}
		if not != nil {
			o["allOf"] = not
		}
		outer, name := objects[""], table.name
		if parent, child, ok := strings.Cut(table.name, "."); ok {
			outer, name = objects[parent], child
		}
		value := o
		if table.many {
			value = node{"type": "array", "items": o}
		}
		if table.alone {
			value = node{"anyOf": []node{o, value}}
		}
		if said := about[table.name]; said != "" {
			value = maps.Clone(value)
			value["description"] = said
		}
		outer["properties"].(node)[name] = value
	}
	return root
}

func kindSchema(k tomlKind) node {
	switch k {
	case aList:
		return node{"type": "array", "items": node{"type": "string"}}
	case aBool:
		return node{"type": "boolean"}
	case anInt:
		return node{"type": "integer", "minimum": 0}
	case intOrStr:
		return node{"type": []string{"integer", "string"}}
	}
	return node{"type": "string"}
}

// explained is what the comments of the reference say: of a table by its name, of a key by
// "TABLE KEY".
func explained(text string) map[string]string {
	said := make(map[string]string)
	table, comment, last, open := "", "", "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		m := setting.FindStringSubmatch(line)
		switch {
		case line == "":
			comment, open = "", false
		case m != nil:
			// In [interface] a comment is for all keys up to the next blank line; elsewhere for
			// the first, and other ways to say the same.
			first := open
			open = false
			if key := table + " " + m[2]; said[key] == "" && (first || table == "interface" || sameSecret(m[2], last)) {
				said[key] = comment
			}
			last = m[2]
		case strings.HasPrefix(line, "["):
			if table = strings.Trim(line, "[]"); said[table] == "" {
				said[table] = comment
			}
			comment, open = "", false
		case strings.HasPrefix(line, "#"):
			if !open {
				comment = ""
			}
			comment, open = strings.TrimSpace(comment+" "+strings.TrimSpace(strings.TrimPrefix(line, "#"))), true
		}
	}
	return said
}

func TestSchemaOfTOML(t *testing.T) {
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(tomlSchema(t)); err != nil {
		t.Fatal(err)
	}
	path, err := schematest.Path(schemaName)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the parser of today makes it (%v): go test ./node/config -run TestSchemaOfTOML -update", path, err)
	}
}

// What the parser takes is valid, and what it does not take for its keys or types is not.
func TestSchemaFitsParser(t *testing.T) {
	valid := func(text string) error {
		t.Helper()
		var v any
		if _, err := toml.Decode(text, &v); err != nil {
			t.Fatal(err)
		}
		doc, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return schematest.Validate(schemaName, doc)
	}
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{string(text), fullTOML, "[interface]\n",
		"[[socks5]]\nlisten = 1080\n[[socks5]]\nlisten = \"127.0.0.1:1\"\n"} {
		mustParseTOML(t, good)
		if err := valid(good); err != nil {
			t.Errorf("%v in\n%s", err, good)
		}
	}
	for _, bad := range []string{
		"[interface]\nadress = []\n", "[interface]\nmtu = \"1\"\n", "[interface]\naddress = \"10.0.0.1\"\n", "[interface]\nforward = 1\n",
		"[interface]\nresolver = \"none\"\n", "[interface]\nprivate_key = \"a\"\nprivate_key_file = \"b\"\n", "[peer]\n",
		"[[peer]]\nname = \"a\"\n",
		"[metrics]\n", "[nope]\n", "[[interface.port_forward]]\nprotocol = \"icmp\"\nport = 1\nto = \"a:1\"\n", "[dns]\nprefer = \"x\"\n",
	} {
		if _, err := ParseTOML(strings.NewReader(bad), "wg0.toml"); err == nil {
			t.Errorf("the parser takes\n%s", bad)
		}
		if valid(bad) == nil {
			t.Errorf("it is valid:\n%s", bad)
		}
	}
}

// Each value of a choice is one, and no other.
func TestSchemaChoices(t *testing.T) {
	for i := range tomlTables {
		for _, k := range tomlTables[i].keys {
			set := k.set
			values := choicesOf(tomlTables[i].name, k.name)
			if set == nil || values == nil {
				continue
			}
			for _, v := range append([]string{"another"}, values...) {
				p := parser{cfg: &Config{}}
				tomlTables[i].begin(&p)
				if err := set(&p, v); (err == nil) != (v != "another") {
					t.Errorf("%s.%s: %q: %v", tomlTables[i].name, k.name, v, err)
				}
			}
		}
	}
}
