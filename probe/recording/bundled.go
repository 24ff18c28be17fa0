package recording

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
)

// bundledName is what a recording is called in a bundle.
const bundledName = "recording.pcapng"

// ErrNotInBundle: a bundle has no recording.
var ErrNotInBundle = errors.New("the bundle has no recording")

// Unwrap gives what is read as a recording: r itself, or of a bundle, a .tar.gz, the recording in
// it. The error wraps [ErrForeign] or [ErrNotInBundle] if there is none.
func Unwrap(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return in, nil
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w: %w", ErrForeign, err)
	}
	files := tar.NewReader(zip)
	for first := true; ; first = false {
		head, err := files.Next()
		switch {
		case errors.Is(err, io.EOF) && !first:
			return nil, ErrNotInBundle
		case err != nil && first:
			return nil, fmt.Errorf("read bundle: %w: %w", ErrForeign, err)
		case err != nil:
			return nil, fmt.Errorf("read bundle: %w", err)
		case path.Base(head.Name) == bundledName:
			return files, nil
		}
	}
}
