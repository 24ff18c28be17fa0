package main

import (
	"os"
)

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// worldAccessible reports whether f is a file (no pipe, no terminal) that
// users other than its owner and group may read, write or execute.
func worldAccessible(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0
}
