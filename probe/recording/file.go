package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is a recording that is being read from a file.
type File struct {
	*Reader
	file *os.File
}

// Open reads the head of a recording in a file, which may be a bundle (see [Unwrap]). Close must be called in the end. The
// error names the file; see [NewReader] for what it wraps.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok { // it would name the file once more
			err = e.Err
		}
		return nil, fmt.Errorf("cannot read recording %s: %w", path, err)
	}
	in, err := Unwrap(f)
	var r *Reader
	if err == nil {
		r, err = NewReader(in)
	}
	if err != nil {
		_ = f.Close() // it was only read
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &File{r, f}, nil
}

// Close ends reading.
func (f *File) Close() error { return f.file.Close() }
