package safefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrDamaged: what this program has written is not what is there.
var ErrDamaged = errors.New("the file is damaged")

// WriteJSON writes a value for this program to read again, what it does to the host above all: a
// line of JSON that others cannot read, whole or not at all. isNew is as [Options].
func WriteJSON(name string, isNew bool, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Write(name, Options{Mode: 0o600, New: isNew}, func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
}

// ReadJSON reads what WriteJSON has written, of max bytes at most. Others than root and this user
// cannot have written it, else the error is an [Untrusted]; it wraps [ErrDamaged], and does not name the
// file, if it is no such value.
func ReadJSON(name string, max int64, v any) error {
	f, err := Open(name, Self())
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	switch err := errors.Join(err, f.Close()); {
	case err != nil:
		return err
	case int64(len(b)) > max:
		return fmt.Errorf("%w: it is larger than %d bytes", ErrDamaged, max)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
