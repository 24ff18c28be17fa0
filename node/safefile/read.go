package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrNotRegular is for pipes, devices, sockets and folders.
var ErrNotRegular = errors.New("not a regular file")

// Read returns what is in a file that anybody may have written. It does not wait, as
// reading a pipe does, and takes no more memory than max bytes: a file that is no
// regular one, or is larger, is an error. /dev/null is an empty one: so files are hidden.
func Read(name string, max int64) ([]byte, error) {
	f, err := OpenAny(name)
	if errors.Is(err, ErrNotRegular) && IsNull(name) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, max+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > max:
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it is larger than %d bytes", max)}
	}
	return text, nil
}
