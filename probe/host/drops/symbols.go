//go:build linux

package drops

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
)

// symbols names addresses of the kernel's functions. All of them are read once, which takes
// some hundredths of a second.
type symbols struct {
	file    string
	modules string // what was loaded before they were read
	read    sync.Once

	// The functions, in the order of their addresses. text has their names, one after the
	// other, each with a newline.
	functions []function
	text      []byte
}

// function is one of the kernel's.
type function struct {
	at   uint64
	name uint32 // where its name begins
}

// latest are the symbols that were read last, by whichever watcher.
var latest struct {
	mu      sync.Mutex
	symbols *symbols // guarded by mu
}

// kernelSymbols are those of the running kernel. The watchers of a process share them for as
// long as the kernel has the same modules, at the same addresses: its own functions stay.
func kernelSymbols() *symbols {
	modules, err := os.ReadFile("/proc/modules")
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without modules has no such file
		return newSymbols("")
	}
	latest.mu.Lock()
	defer latest.mu.Unlock()
	if latest.symbols == nil || latest.symbols.modules != string(modules) {
		latest.symbols = newSymbols(string(modules))
	}
	return latest.symbols
}

func newSymbols(modules string) *symbols { return &symbols{file: "/proc/kallsyms", modules: modules} }

// load reads the file. Its lines are not in order. What cannot be read has no names: they
// only say more.
func (s *symbols) load() {
	s.read.Do(func() {
		f, err := os.Open(s.file)
		if err != nil {
			return
		}
		defer f.Close()
		functions, text, err := readSymbols(f)
		if err != nil {
			return
		}
		slices.SortFunc(functions, func(a, b function) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name)) })
		s.functions, s.text = functions, text
	})
}

// readSymbols takes the functions out of lines with address, type, name, and the module.
func readSymbols(r io.Reader) ([]function, []byte, error) {
	// A kernel has some 100,000.
	functions, text := make([]function, 0, 1<<17), make([]byte, 0, 1<<21)
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadSlice('\n')
		addr, rest, ok := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
		if ok && len(rest) > 2 && (rest[0]|0x20 == 't' || rest[0]|0x20 == 'w') {
			if a, err := strconv.ParseUint(string(addr), 16, 64); err == nil && a != 0 {
				name, _, _ := bytes.Cut(rest[2:], []byte{'\t'})
				functions = append(functions, function{a, uint32(len(text))})
				text = append(append(text, name...), '\n')
			}
		}
		if errors.Is(err, io.EOF) {
			return functions, text, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
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
		name, _, _ := bytes.Cut(s.text[s.functions[at].name:], []byte{'\n'})
		names[i] = plain(string(name))
	}
	return names
}
