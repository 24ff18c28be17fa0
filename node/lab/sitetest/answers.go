//go:build linux

package sitetest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wgnode/wgnode/probe/schema/schematest"
)

var answersIn = flag.String("site.answers", "", "write each JSON answer of explain, doctor, trace and merge into this folder")

// Decode reads the JSON document at the start of what a command printed; what it
// says on standard error comes after it. The document must be as docs/schema has it.
// With -site.answers it is kept in a file named after the test and counted within it,
// so that the answers of two versions can be compared.
func Decode(t *testing.T, command, out string, into any) error {
	t.Helper()
	var doc json.RawMessage
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&doc); err != nil {
		return err
	}
	if err := schematest.Validate(command, doc); err != nil {
		t.Errorf("%s printed what its schema does not have: %v\n%s", command, err, doc)
	}
	if *answersIn != "" {
		if err := os.MkdirAll(*answersIn, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*answersIn, answers.name(t)), append(doc, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return json.Unmarshal(doc, into)
}

// answers counts the answers of each test.
var answers counter

type counter struct {
	mu sync.Mutex
	n  map[string]int // by name of the test; guarded by mu
}

// name is the file of the next answer in a test.
func (c *counter) name(t *testing.T) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[t.Name()]++
	return fmt.Sprintf("%s,%02d.json", strings.ReplaceAll(t.Name(), "/", ","), c.n[t.Name()])
}
