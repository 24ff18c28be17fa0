package schematest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// Path returns the file of a document.
func Path(name string) (string, error) {
	top, err := root()
	return filepath.Join(top, "docs", "schema", name+".json"), err
}

var (
	resolvedMu sync.Mutex
	resolved   = make(map[string]*jsonschema.Resolved) // by name; guarded by resolvedMu
)

// Validate holds JSON against a document, the one of a command: "explain", "doctor",
// "trace", "merge" or "watch". Keys and values that the document does not have are
// errors.
func Validate(name string, instance []byte) error {
	strict, err := load(name)
	if err != nil {
		return fmt.Errorf("load schema of %s: %w", name, err)
	}
	var v any
	if err := json.Unmarshal(instance, &v); err != nil {
		return fmt.Errorf("read JSON of %s: %w", name, err)
	}
	return strict.Validate(v)
}

func load(name string) (*jsonschema.Resolved, error) {
	resolvedMu.Lock()
	defer resolvedMu.Unlock()
	if r := resolved[name]; r != nil {
		return r, nil
	}
	path, err := Path(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	restrict(&s)
	r, err := s.Resolve(nil)
	if err == nil {
		resolved[name] = r
	}
	return r, err
}

// restrict leaves no room for what a document does not have.
func restrict(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil && s.AdditionalProperties == nil {
		s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
	} else if s.AdditionalProperties != nil {
		restrict(s.AdditionalProperties)
	}
	if s.Examples != nil {
		s.Enum, s.Examples = s.Examples, nil
	}
	for _, p := range s.Properties {
		restrict(p)
	}
	for _, d := range s.Defs {
		restrict(d)
	}
	for _, a := range s.AnyOf {
		restrict(a)
	}
	restrict(s.Items)
}
