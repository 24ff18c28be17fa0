// Package schema numbers the JSON that wgnode prints for programs.
//
// Each object that explain, doctor, trace and merge print with --json, and each line
// of watch and drops, begins with "schema": 1. The number changes only if what a program relies
// on does: a key that is renamed, removed or comes to mean something else. New keys do
// not change it. The documents in docs/schema say what each object holds; they are made
// from the Go types by the tests of cmd/wgnode.
package schema

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Number is the one that this version writes, and the only one that it reads.
const Number = 1

// Version is the member "schema" of an object. It has no state: whatever holds one is
// written with [Number].
type Version struct{}

// MarshalJSON implements [json.Marshaler].
func (Version) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, Number, 10), nil }

// UnmarshalJSON implements [json.Unmarshaler]. Another number than [Number] is an error.
func (*Version) UnmarshalJSON(b []byte) error {
	var n int
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	if n != Number {
		return fmt.Errorf("read schema: %d is not known, only %d: another version of wgnode has written it", n, Number)
	}
	return nil
}
