//go:build linux

package drops

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"sync"
)

// symbols names addresses of the kernel's functions. It reads all of the kernel's symbols
// only for addresses that it has not met.
type symbols struct {
	file  string
	mu    sync.Mutex
	known map[uint64]string // guarded by mu
}

func newSymbols() *symbols { return &symbols{file: "/proc/kallsyms", known: make(map[uint64]string)} }

// names are those of the functions that addresses are in, "" for what is not known.
func (s *symbols) names(addrs []uint64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ask []uint64
	for _, a := range addrs {
		if _, ok := s.known[a]; !ok {
			ask = append(ask, a)
		}
	}
	if len(ask) > 0 {
		s.look(ask)
	}
	names := make([]string, len(addrs))
	for i, a := range addrs {
		names[i] = s.known[a]
	}
	return names
}

// look finds for each address the last function that begins at or before it. The file is not
// in order. What cannot be read has no names: they only say more.
func (s *symbols) look(ask []uint64) {
	type symbol struct {
		at   uint64
		name string
	}
	best := make([]symbol, len(ask))
	if f, err := os.Open(s.file); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			at, rest, ok := bytes.Cut(lines.Bytes(), []byte{' '})
			if !ok || len(rest) < 3 || (rest[0]|0x20 != 't' && rest[0]|0x20 != 'w') {
				continue // no code
			}
			addr, err := strconv.ParseUint(string(at), 16, 64)
			if err != nil || addr == 0 {
				continue
			}
			for i, a := range ask {
				if addr <= a && addr > best[i].at {
					name, _, _ := bytes.Cut(rest[2:], []byte{'\t'}) // what follows is a module
					best[i] = symbol{addr, plain(string(name))}
				}
			}
		}
	}
	for i, a := range ask {
		s.known[a] = best[i].name
	}
}
