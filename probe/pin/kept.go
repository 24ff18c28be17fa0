package pin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Kept compares two texts of JSON, each of one value or of several behind each other: got
// must have every key and value of want. It may have other keys besides, as a later
// release may add some.
func Kept(t *testing.T, want, got []byte) {
	t.Helper()
	for _, lost := range lacks(values(t, want), values(t, got), "") {
		t.Error(lost)
	}
}

func values(t *testing.T, text []byte) (all []any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		var v any
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, v)
	}
}

// lacks lists what of want, a value of JSON, got does not have.
func lacks(want, got any, at string) (lost []string) {
	switch want := want.(type) {
	case map[string]any:
		have := make(map[string]any)
		if got, ok := got.(map[string]any); ok {
			for key, v := range got {
				have[strings.ToLower(key)] = v // as encoding/json finds it
			}
		}
		for key, v := range want {
			lost = append(lost, lacks(v, have[strings.ToLower(key)], at+"."+key)...)
		}
		return lost
	case []any:
		have, _ := got.([]any)
		if len(have) != len(want) {
			return []string{fmt.Sprintf("%s: %d elements, want %d", at, len(have), len(want))}
		}
		for i, v := range want {
			lost = append(lost, lacks(v, have[i], fmt.Sprintf("%s[%d]", at, i))...)
		}
		return lost
	}
	if want != got {
		lost = append(lost, fmt.Sprintf("%s: %v, want %v", at, got, want))
	}
	return lost
}
