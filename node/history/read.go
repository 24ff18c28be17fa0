package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/timeline"
)

// maxLine is more than any line has: what is longer is no line of ours.
const maxLine = 64 << 10

// Read reads the history of the tunnel of a name, also while a node writes it. The error is
// [fs.ErrNotExist] if there is none.
func Read(dir, name string) (*timeline.Lines, error) {
	var all timeline.Lines
	older := readFile(&all, filepath.Join(dir, name+oldSuffix))
	newer := readFile(&all, filepath.Join(dir, name+suffix))
	if errors.Is(older, fs.ErrNotExist) {
		older = nil
	}
	if errors.Is(newer, fs.ErrNotExist) && len(all.Lines) > 0 {
		newer = nil // the node is about to make it
	}
	if err := errors.Join(older, newer); err != nil {
		return nil, err
	}
	return &all, nil
}

func readFile(all *timeline.Lines, path string) (err error) {
	f, err := safefile.Open(path, safefile.Self())
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	lines.Split(wholeLines)
	for lines.Scan() {
		var l timeline.Line
		switch err := json.Unmarshal(lines.Bytes(), &l); {
		case len(bytes.TrimSpace(lines.Bytes())) == 0:
		case err != nil || l.At.IsZero():
			all.Damaged++
		default:
			all.Lines = append(all.Lines, l)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read history %s: %w", path, err)
	}
	return nil
}

// wholeLines is bufio.ScanLines without a last line that has no end: it is being written.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF {
		return len(data), nil, nil
	}
	return 0, nil, nil
}

// Size is how many bytes there are to read of a tunnel's history, 0 if there is none.
func Size(dir, name string) (n int64) {
	for _, end := range []string{suffix, oldSuffix} {
		if st, err := os.Stat(filepath.Join(dir, name+end)); err == nil {
			n += st.Size()
		}
	}
	return n
}

// Names are the tunnels that a folder has histories of, in order.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list histories: %w", err)
	}
	var names []string
	for _, e := range entries {
		for _, end := range []string{suffix, oldSuffix} {
			if name, ok := strings.CutSuffix(e.Name(), end); ok && e.Type().IsRegular() {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
