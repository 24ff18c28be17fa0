package repair

import (
	"errors"
	"regexp"
	"strings"
)

// errShell: a command needs a shell to be understood.
var errShell = errors.New("it needs a shell")

// words splits a command as a shell does. A command that a shell would do more with than
// split it is an error: it is not run.
func words(line string) ([]string, error) {
	var all []string
	var word strings.Builder
	begun, quote := false, rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == '"' && strings.ContainsRune("$`\\", r), quote == 0 && strings.ContainsRune("$`\\;|&<>()\n*?#~!", r):
			return nil, errShell
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ' || r == '\t':
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, errShell
	}
	if begun {
		all = append(all, word.String())
	}
	if len(all) == 0 {
		return nil, errShell
	}
	return all, nil
}

// blank finds what only the user can fill in: "via GATEWAY", "ADDRESS/LENGTH", "...".
var blank = regexp.MustCompile(`(^|[\s,])([A-Z][A-Z-]{2,}([/:]\S*)?|\.\.\.)($|[\s,])|:PORT\b`)

// isBlank reports whether a text has such a thing.
func isBlank(text string) bool { return blank.MatchString(text) }

// after is the word that follows a word, "" if there is none.
func after(words []string, word string) string {
	for i, w := range words[:max(0, len(words)-1)] {
		if w == word {
			return words[i+1]
		}
	}
	return ""
}
