//go:build !linux

package resolver

import (
	"io/fs"
	"os"
)

// No node sets the name servers of this system: see node/plan. What is here lets changes be read
// that a Linux host has recorded.
const (
	noFollow = 0
	noBlock  = 0
)

func (s *Snapshot) attributes(_ *os.File, info fs.FileInfo) { s.Mode = uint32(info.Mode().Perm()) }

func unnamable(error) bool { return false }

func readOnly(string) bool { return false }
