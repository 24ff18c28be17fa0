//go:build !linux

package hook

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// inMemory returns a file without a name that holds text, to be read from its beginning.
func inMemory(text string) (*os.File, error) {
	f, err := os.CreateTemp("", "wgnode-hook-*") // for this user alone
	if err != nil {
		return nil, fmt.Errorf("make file for a hook: %w", err)
	}
	_ = os.Remove(f.Name()) // where an open file keeps its name, that is removed with the folder
	if _, err = f.WriteString(text); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// children are not known here: what a hook has started is left to itself.
func children(int) []int { return nil }

func terminate(int) {}
