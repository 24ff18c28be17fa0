package config

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// This file finds out which scripts a command of a hook runs, so that they can be
// checked. It reads what is plain in the text, as a shell would: words, quotes, and
// where one command ends and the next begins. What only running it would show, such
// as $VAR or $(...), is not followed.

// leadWords are words that a command may stand behind: programs that run another
// one, and keywords of the shell.
var leadWords = []string{"exec", "sudo", "doas", "env", "command", "builtin", "nohup", "time", "nice", "setsid",
	"if", "then", "elif", "else", "while", "until", "do", "!", "{", "("}

// shells run a file, or after -c what is in their argument. interpreters run a file.
var (
	shells       = []string{"sh", "bash", "dash", "zsh", "ksh"}
	interpreters = append([]string{"source", ".", "python3", "python", "perl"}, shells...)
)

// assignment matches a variable that a command is given.
var assignment = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*=`)

// scripts returns the paths of the files that a command runs, itself or by an
// interpreter; none that is found by $PATH.
func scripts(command string) []string {
	var s scriptFinder
	s.find(command)
	return s.paths
}

// scriptFinder collects scripts.
type scriptFinder struct {
	paths []string
	dir   string // that cd has gone to, "" for where the hook begins
	lost  bool   // nobody knows where cd has gone to
}

func (s *scriptFinder) find(command string) {
	for _, words := range simpleCommands(command) {
		s.simple(words)
	}
}

// simple takes one command, without separators.
func (s *scriptFinder) simple(words []string) {
	for i, word := range words {
		switch name := path.Base(word); {
		case assignment.MatchString(word), i > 0 && strings.HasPrefix(word, "-"):
			continue
		case word == "cd" && i+1 < len(words):
			s.cd(words[i+1])
			return
		case slices.Contains(interpreters, name):
			s.add(word)
			s.interpreted(name, words[i+1:])
			return
		default:
			s.add(word)
			if !slices.Contains(leadWords, name) {
				return
			}
		}
	}
}

// interpreted takes the arguments of an interpreter.
func (s *scriptFinder) interpreted(name string, args []string) {
	for i, arg := range args {
		switch {
		case !strings.HasPrefix(arg, "-"):
			if strings.Contains(arg, "/") || s.dir != "" {
				s.file(arg)
			}
			if base := path.Base(arg); slices.Contains(interpreters, base) || slices.Contains(leadWords, base) {
				s.interpreted(base, args[i+1:])
			}
			return
		case slices.Contains(shells, name) && !strings.HasPrefix(arg, "--") && strings.Contains(arg, "c"):
			if i+1 < len(args) {
				s.find(args[i+1])
			}
			return
		}
	}
}

func (s *scriptFinder) cd(dir string) {
	switch {
	case dir == unknownWord || dir == "-":
		s.lost = true
	case path.IsAbs(dir):
		s.dir, s.lost = dir, false
	default:
		s.dir = path.Join(s.dir, dir)
	}
}

// add takes the first word of a command: a file if there is a slash in it.
func (s *scriptFinder) add(word string) {
	if strings.Contains(word, "/") {
		s.file(word)
	}
}

func (s *scriptFinder) file(name string) {
	switch {
	case name == "" || name == unknownWord:
		return
	case path.IsAbs(name) || s.dir == "" && !s.lost:
	case s.lost:
		return
	default:
		name = path.Join(s.dir, name)
	}
	if !slices.Contains(s.paths, name) {
		s.paths = append(s.paths, name)
	}
}

// unknownWord stands for a word that the shell makes out of something else.
const unknownWord = "\x00"

// simpleCommands takes a command line apart: at what separates commands, and then
// into words. Quotes are taken away.
func simpleCommands(command string) (all [][]string) {
	var words []string
	var word strings.Builder
	inWord, unknown := false, false
	endWord := func() {
		switch {
		case unknown:
			words = append(words, unknownWord)
		case inWord:
			words = append(words, word.String())
		}
		word.Reset()
		inWord, unknown = false, false
	}
	var quote rune // that is open, 0 for none
	escaped := false
	for _, r := range command {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped, inWord = false, true
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == '\'':
			word.WriteRune(r)
		case r == '$' || r == '`' || quote == 0 && strings.ContainsRune("*?", r):
			unknown = true
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune(" \t", r):
			endWord()
		case strings.ContainsRune(";&|\n()", r):
			endWord()
			all, words = append(all, words), nil
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	endWord()
	return append(all, words)
}
