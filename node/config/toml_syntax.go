package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// syntaxError words what the library says about a text that is not TOML. Its
// own words are not used: they quote the text, which may be a key. This is also
// why only names that wgnode knows are shown.
func syntaxError(path string, e toml.ParseError) *Error {
	err := &Error{File: path, Line: max(e.Position.Line, 1), Msg: "is not TOML"}
	for _, m := range syntaxMessages {
		if strings.Contains(e.Message, m.says) {
			err.Msg = m.means
			break
		}
	}
	name, tableToo := e.LastKey, false
	if _, quoted, ok := strings.Cut(e.Message, "Key '"); ok {
		name, _, _ = strings.Cut(quoted, "'")
		tableToo = true
	}
	name = lastPart(name)
	if t := tableOfKey(name); t != nil && (tableToo || t.key(name) != nil) {
		err.Key = name
	}
	if strings.Contains(e.Message, "table") && strings.Contains(e.Message, `'\n'`) {
		err.Line-- // the library has gone past the end of the line
	}
	return err
}

// syntaxMessages are looked through in this order.
var syntaxMessages = []struct{ says, means string }{
	{"has already been defined", "is there twice: TOML wants each key once, and each [table] once"},
	{"was already created", "is there twice, as a table and as something else"},
	{"cannot contain newlines", "the text does not end on its line: the closing quote is missing, or has a backslash in front"},
	{"key separator", "neither [TABLE] nor KEY = VALUE"},
	{"unexpected EOF", "the file ends too early: a quote or bracket is not closed, or a value is missing"},
	{"invalid escape", "a backslash that TOML does not know: write it twice, or put the text in 'single quotes'"},
	{"hexadecimal digits after", "a backslash that TOML does not know: write it twice, or put the text in 'single quotes'"},
	{"is not valid UTF-8", "an escape that is not a character"},
	{"UTF-8", "is not UTF-8"},
	{"control characters", "holds a control character: not a text file, or an escape is needed"},
	{"expected '.' or '='", "neither [TABLE] nor KEY = VALUE"},
	{"unexpected '='", "a value without a key: want KEY = VALUE"},
	{"to end with a newline", "more follows on the line: want one KEY = VALUE a line, and text in quotes"},
	{"expected a comma", "want a comma or the closing bracket: text is in quotes"},
	{"unexpected comma", "a comma too many"},
	{"table", "the name of a table is malformed: want [interface], [[peer]] and the like"},
	{"expected value", "the value is missing, or is text without quotes"},
	{"out of range", "a number too large"},
	{"umber", "neither a number nor text in quotes"},
	{"nteger", "neither a number nor text in quotes"},
	{"loat", "neither a number nor text in quotes"},
	{"digit", "neither a number nor text in quotes"},
	{"datetime", "neither a number nor text in quotes"},
}
