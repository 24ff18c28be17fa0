package config

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// ParseTOML reads a configuration in wgnode's own format from r. The path is
// used for messages and, where the text does not name the interface, for its
// name. Relative paths in the text are taken from the folder of path. No file
// is opened and no command run: keys that are kept elsewhere stay zero, and
// peers in another file are missing, until [Config.Resolve].
//
// The error is an [Errors] if the text is at fault, and else the error of r.
// Of a text that is not TOML it names the first fault only.
func ParseTOML(r io.Reader, path string) (*Config, error) {
	text, err := readAll(r, path)
	if err != nil {
		return nil, err
	}
	return parseTOML(text, path, filepath.Base(path), false)
}

// parseTOML is ParseTOML for a file that goes by the name base, or for a file
// of peers.
func parseTOML(text, path, base string, peersOnly bool) (*Config, error) {
	text = strings.TrimPrefix(text, "\ufeff") // as in a .conf
	if isUTF16(text) {
		return nil, Errors{{path, 1, "", "is UTF-16: save it as UTF-8"}} // the library may take it
	}
	if line := tooDeep(text); line > 0 {
		return nil, Errors{{path, line, "", "brackets in brackets without end"}}
	}
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, Errors{syntaxError(path, syntax)}
		}
		return nil, fmt.Errorf("read %s: it cannot be decoded", path) // without words that may hold text
	}
	p := parser{cfg: &Config{Path: path, spelling: tomlSpelling}, peersOnly: peersOnly}
	at, comments := places(text)
	p.cfg.comments = comments
	p.table(&tomlTables[0], root, at)
	if !peersOnly && !p.cfg.Interface.Given("name") && path != "" {
		name := strings.TrimSuffix(base, ".toml")
		if !ValidName(name) {
			p.lineNo = at.key("interface").line
			p.fail("name", "missing, and the name of the file is not one of an interface: write name = \"wg0\" in [interface]")
		}
		p.cfg.Name = name
	}
	p.warnOverlaps()
	return p.result()
}

// maxDepth is far more than anybody nests, and far less than what the stack of
// the library's parser bears.
const maxDepth = 10_000

// tooDeep returns the line at which brackets are nested too deep, or 0. It also
// counts those in texts and comments, which most often come in pairs.
func tooDeep(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '[', '{':
			if depth++; depth > maxDepth {
				return strings.Count(text[:i], "\n") + 1
			}
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return 0
}

// table takes all keys of one table. Faults are sorted in the end, so the
// order does not matter there; it does for nothing else but tables, which keep
// their own.
func (p *parser) table(t *tomlTable, values map[string]any, at *place) {
	defer func(outer section) { p.section = outer }(p.section)
	p.lineNo = at.line
	if t.begin != nil {
		t.begin(p)
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return at.key(a).line - at.key(b).line })
	for _, name := range names {
		value, where := values[name], at.key(name)
		p.lineNo = where.line
		inner := tableNamed(within(t, name))
		switch k := t.key(name); {
		case inner != nil && p.peersOnly && !inner.peers:
			p.fail("", "%s belongs in the file of a node; this one is for [[peer]] alone", inner.header())
		case inner != nil:
			p.tables(inner, value, where)
		case k != nil:
			p.key(k, value, where)
		default:
			p.fail("", "%s", p.unknown(t, name, value))
		}
	}
	for _, name := range t.required {
		if _, given := values[name]; !given {
			p.lineNo = at.line
			p.fail(name, "missing in this %s", t.header())
		}
	}
	for _, group := range t.oneOf {
		var first string
		for _, name := range names {
			switch {
			case !slices.Contains(group, name):
			case first == "":
				first = name
			default:
				p.lineNo = at.key(name).line
				p.fail(name, "line %d has %s already: keep one of them", at.key(first).line, first)
			}
		}
	}
	p.lineNo = at.line
	if t.end != nil {
		t.end(p)
	}
}

// tables takes the one table or the array of them that value should be.
func (p *parser) tables(t *tomlTable, value any, at *place) {
	one, isTable := value.(map[string]any)
	many, isArray := items(value)
	switch {
	case isTable && (!t.many || t.alone):
		p.table(t, one, at)
	case isArray && t.many:
		for i, item := range many {
			p.lineNo = at.item(i).line
			if inner, ok := item.(map[string]any); ok {
				p.table(t, inner, at.item(i))
			} else {
				p.fail("", "item %d is %s: write each as %s", i+1, typeOf(item), t.header())
			}
		}
	case isTable:
		p.fail("", "write %s, in two brackets: there may be more of them", t.header())
	case isArray:
		p.fail("", "write %s, in single brackets: there is only one", t.header())
	default:
		p.fail("", "%s is %s: want a table %s", lastPart(t.name), typeOf(value), t.header())
	}
}

// key takes one key with its value.
func (p *parser) key(k *tomlKey, value any, at *place) {
	keep := k.name
	if k.conf != "" {
		keep = k.conf
	}
	p.remember(keep) // also if it is malformed, as in a .conf
	set := k.set
	if set == nil {
		set = confSetter(k.conf)
	}
	if k.kind != aList {
		p.value(k, set, value)
		return
	}
	array, ok := items(value)
	if !ok {
		p.fail(k.name, "is %s, want %s: write %s = [\"...\"]", typeOf(value), aList, k.name)
		return
	}
	for i, item := range array {
		p.lineNo = at.item(i).line
		if _, ok := item.(string); !ok {
			p.fail(k.name, "item %d is %s, want a string", i+1, typeOf(item))
			continue
		}
		p.value(k, set, item)
	}
}

// value takes a single value, of a key or of a list.
func (p *parser) value(k *tomlKey, set func(*parser, string) error, value any) {
	var text string
	ok := false
	switch v := value.(type) {
	case string:
		text, ok = v, k.kind == aString || k.kind == aList || k.kind == intOrStr
	case int64:
		text, ok = strconv.FormatInt(v, 10), k.kind == anInt || k.kind == intOrStr
	case bool:
		text, ok = strconv.FormatBool(v), k.kind == aBool
	}
	var err error
	switch {
	case !ok:
		err = fmt.Errorf("is %s, want %s", typeOf(value), k.kind)
	case text == "":
		err = errEmpty
	case strings.ContainsRune(text, 0):
		err = errors.New("holds a zero byte")
	default:
		err = set(p, text)
	}
	if err != nil {
		p.fail(k.name, "%v", err)
	}
}

// unknown words what to do about a key that t does not have.
func (p *parser) unknown(t *tomlTable, name string, value any) string {
	var known []string
	for _, k := range t.keys {
		known = append(known, k.name)
	}
	for i := range tomlTables {
		if n := tomlTables[i].name; n != "" && within(t, lastPart(n)) == n && (!p.peersOnly || tomlTables[i].peers) {
			known = append(known, lastPart(n))
		}
	}
	// The names of a .conf, and other spellings of ours.
	alike := func(k string) bool { return plain(k) == plain(name) }
	if i := slices.IndexFunc(known, alike); i >= 0 {
		return fmt.Sprintf("unknown key %s (did you mean %s?)", quote(name), known[i])
	}
	for i := range tomlTables {
		other := &tomlTables[i]
		if other.name != "" && (alike(lastPart(other.name)) || alike(other.name)) {
			return fmt.Sprintf("unknown key %s (did you mean %s?)", quote(name), other.header())
		}
		if j := slices.IndexFunc(other.keys, func(k tomlKey) bool { return alike(k.name) }); j >= 0 {
			return fmt.Sprintf("%s belongs in %s, not in %s", other.keys[j].name, other.header(), t.header())
		}
	}
	if _, isTable := value.(map[string]any); isTable && t.name == "" && Nearest(name, known) == "" {
		return strings.Replace(unknownKey(name, known), "key", "table", 1) + ": there are " + topTables()
	}
	return unknownKey(name, known)
}

// topTables lists the tables that are in no other.
func topTables() string {
	var headers []string
	for i := range tomlTables {
		if n := tomlTables[i].name; n != "" && n == lastPart(n) {
			headers = append(headers, tomlTables[i].header())
		}
	}
	last := len(headers) - 1
	return strings.Join(headers[:last], ", ") + " and " + headers[last]
}

// plain is a name without what differs from spelling to spelling.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// items returns the array that v is, in either of the library's forms.
func items(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []map[string]any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = v[i]
		}
		return all, true
	}
	return nil, false
}

// typeOf names a type of TOML.
func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}
