package redact

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// plainKeys are those of a configuration whose values are no secrets, in lower case and without
// the underscores of the TOML format.
var plainKeys = func() map[string]bool {
	all := make(map[string]bool)
	for k := range strings.FieldsSeq(`address listenport mtu dns search table fwmark saveconfig publickey allowedips endpoint
		persistentkeepalive resolver killswitch killswitchlan exclude forward masquerade protocol from port to listen hosts
		privatekeyfile presharedkeyfile passwordfile privatekeycredential presharedkeycredential passwordcredential
		preferipv4 idletime peersfile import advancedsecurity allow
		sample anonymize cafile headersfile headerscredential
		jc jmin jmax s1 s2 s3 s4 h1 h2 h3 h4 bindaddress target checkalive checkaliveinterval`) {
		all[k] = true
	}
	return all
}()

// nameKeys have a name as value.
var nameKeys = map[string]bool{"name": true, "friendlyname": true}

// hookKeys have a command as value.
var hookKeys = map[string]bool{"preup": true, "postup": true, "predown": true, "postdown": true,
	"privatekeycommand": true, "presharedkeycommand": true, "passwordcommand": true, "headerscommand": true}

func plainName(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.Trim(strings.TrimSpace(key), `"'`)))
}

// named is a comment that gives a peer its name, as package config reads it, and others.
var named = regexp.MustCompile(`^\s*#+\s*(?i:(name|friendly[_ ]name))\s*[:=]\s*(.*)$`)

// Config hides the secrets in a configuration in wg-quick's format: the values of all keys that
// are not known to have none, words of hooks, and comments but for those that name a peer. It
// takes what cannot be parsed. names are those of interfaces.
func (s *Secrets) Config(text string, names ...string) string {
	for line := range strings.Lines(text) { // a comment may have one, too
		name, value, _ := strings.Cut(line, "=")
		if k, ok := parseKey(strings.TrimSpace(value)); ok && plainName(name) == "publickey" && !s.keys[k] {
			s.public[k] = true
		}
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		b.WriteString(s.configLine(line, names))
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *Secrets) configLine(line string, names []string) string {
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "" || header.MatchString(trimmed):
		return line
	case trimmed[0] == '#':
		if m := named.FindStringSubmatch(line); m != nil {
			return "# " + m[1] + " = " + s.Foreign(m[2])
		}
		return "# " + s.unsaid(strings.TrimLeft(trimmed, "# "))
	}
	key, value, ok := strings.Cut(line, "=")
	if !ok || !keyWord.MatchString(key) { // somebody has slipped
		s.Word(trimmed)
		s.Heard(trimmed)
		return s.Hidden([]byte(trimmed))
	}
	name := plainName(key)
	comment := ""
	if !hookKeys[name] { // a hook has no comments
		if v, c, found := strings.Cut(value, "#"); found {
			value, comment = v, " # "+s.unsaid(strings.TrimSpace(c))
		}
	}
	return strings.TrimSpace(key) + " = " + s.value(name, strings.TrimSpace(value), names) + comment
}

// unsaid hides a comment, and makes known what may be a secret in it.
func (s *Secrets) unsaid(text string) string {
	s.Heard(text)
	return s.Hidden([]byte(text))
}

// header is that of a section.
var header = regexp.MustCompile(`^\[\s*[A-Za-z][A-Za-z0-9_. ]{0,30}\]$`)

// keyWord is what can be the key of a line.
var keyWord = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9]{0,20}\s*$`)

// value hides the value of a key if need be. What is hidden is known from then on.
func (s *Secrets) value(name, value string, names []string) string {
	switch {
	case value == "":
		return ""
	case hookKeys[name]:
		return s.Command(value, names...)
	case name == "publickey":
		return s.publicKey(value)
	case name == "privatekey" || name == "presharedkey":
		value = strings.Join(strings.Fields(value), "") // wg leaves white space out
	case plainKeys[name] || nameKeys[name]:
		return s.Foreign(value)
	}
	s.Word(value)
	s.Heard(value)
	return s.Hidden(secretBytes(value))
}

// publicKey leaves what has the form of a public key.
func (s *Secrets) publicKey(value string) string {
	k, ok := parseKey(value)
	if !ok {
		return s.Hidden([]byte(value))
	}
	if s.keys[k] { // somebody has taken one for the other
		return s.Hidden(k[:])
	}
	s.public[k] = true
	return value
}

// secretBytes are what a secret is hashed by: a key is the same however it is written.
func secretBytes(value string) []byte {
	if k, ok := parseKey(value); ok {
		return k[:]
	}
	return []byte(value)
}

// Tree hides the secrets in what a configuration in TOML was decoded into: maps, arrays and
// values.
func (s *Secrets) Tree(tree any, names ...string) any { return s.tree("", tree, names) }

func (s *Secrets) tree(key string, v any, names []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[s.treeKey(k)] = s.tree(k, item, names)
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = s.tree(key, v[i], names)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = s.tree(key, v[i], names)
		}
		return out
	case string:
		return s.value(plainName(key), v, names)
	case bool, int64:
		return v
	}
	return s.Hidden(nil) // dates and numbers that no key has
}

// treeKey is a key or the name of a table.
func (s *Secrets) treeKey(k string) string {
	if len(k) < 24 && strings.Trim(k, "abcdefghijklmnopqrstuvwxyz_0123456789") == "" {
		return k
	}
	return s.Hidden([]byte(k))
}

// coded are members of JSON documents whose texts are words of this program, which a name may
// be, too.
var coded = func() map[string]bool {
	all := make(map[string]bool)
	for k := range strings.FieldsSeq(`code class state status checkpoint where level known kind seam reason proto side format what direction
		hook family verdict`) {
		all[k] = true
	}
	return all
}()

// JSON applies to to each text in a JSON document, and writes it with white space. Members'
// names stay, and so do the words that stand for something in this program's documents.
func JSON(doc []byte, to func(string) string) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(each("", v, to)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// code is a word of this program.
var code = regexp.MustCompile(`^[A-Za-z][a-z0-9-]{0,40}$`)

func each(member string, v any, to func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			v[k] = each(k, item, to)
		}
	case []any:
		for i := range v {
			v[i] = each(member, v[i], to)
		}
	case string:
		if coded[member] && code.MatchString(v) {
			return v
		}
		return to(v)
	}
	return v
}

var (
	// ruleText is text that others gave a rule of a firewall.
	ruleText = regexp.MustCompile(`(\b(?:comment|prefix)\s+)("(?:[^"\\]|\\.)*")|` +
		`(--(?:comment|log-prefix|nflog-prefix|string|hex-string|domain)\s+)("(?:[^"\\]|\\.)*"|\S+)`)
	// ownText is what wgnode and wg-quick say of their rules.
	ownText = regexp.MustCompile(`^(?:wgnode|wg-quick\(8\) rule for)[ A-Za-z0-9_().:,%-]{0,40}$`)
)

// Rules hides secrets in the listing of a firewall's rules: comments and the like, which others
// wrote, but for those of wgnode and wg-quick, and what else may be one.
func (s *Secrets) Rules(text string) string { return s.Foreign(s.comments(s.known(text))) }

// comments hides those of rules.
func (s *Secrets) comments(text string) string {
	return ruleText.ReplaceAllStringFunc(text, func(found string) string {
		m := ruleText.FindStringSubmatch(found)
		word, value := m[1]+m[3], strings.Trim(m[2]+m[4], `"`)
		if ownText.MatchString(value) && s.Foreign(value) == value || strings.HasPrefix(value, "(hidden #") {
			return found
		}
		return word + `"` + s.unsaid(value) + `"`
	})
}
