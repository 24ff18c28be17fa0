//go:build linux

package drops

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strconv"
	"sync"
)

// symbols names addresses of the kernel's functions. All of them are read once, which takes
// some hundredths of a second.
type symbols struct {
	file string
	read sync.Once

	// The functions, in the order of their addresses. text has the names, each up to the
	// end of its line.
	functions []function
	text      []byte
}

// function is one of the kernel's.
type function struct {
	at   uint64
	name uint32 // where its name begins
}

func newSymbols() *symbols { return &symbols{file: "/proc/kallsyms"} }

// load reads the file. Its lines are not in order. What cannot be read has no names: they
// only say more.
func (s *symbols) load() {
	s.read.Do(func() {
		text, err := os.ReadFile(s.file)
		if err != nil {
			return
		}
		s.text = text
		for at := 0; at < len(text); {
			line := text[at:]
			if end := bytes.IndexByte(line, '\n'); end >= 0 {
				line = line[:end]
			}
			addr, rest, ok := bytes.Cut(line, []byte{' '})
			if ok && len(rest) > 2 && (rest[0]|0x20 == 't' || rest[0]|0x20 == 'w') {
				if a, err := strconv.ParseUint(string(addr), 16, 64); err == nil && a != 0 {
					s.functions = append(s.functions, function{a, uint32(at + len(addr) + 3)})
				}
			}
			at += len(line) + 1
		}
		slices.SortStableFunc(s.functions, func(a, b function) int { return cmp.Compare(a.at, b.at) })
	})
}

// names are those of the functions that addresses are in, "" for what is not known.
func (s *symbols) names(addrs []uint64) []string {
	s.load()
	names := make([]string, len(addrs))
	for i, a := range addrs {
		at, exact := slices.BinarySearchFunc(s.functions, a, func(f function, a uint64) int { return cmp.Compare(f.at, a) })
		if !exact {
			at--
		}
		if at < 0 {
			continue
		}
		name := s.text[s.functions[at].name:]
		if end := bytes.IndexAny(name, "\t\n"); end >= 0 { // what follows is a module
			name = name[:end]
		}
		names[i] = plain(string(name))
	}
	return names
}
