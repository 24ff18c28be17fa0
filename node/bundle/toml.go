package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/wgnode/wgnode/probe/redact"
)

// hideTOML hides the secrets in a configuration in TOML. Its comments are left out. What cannot
// be parsed is not known well enough to be given away.
func hideTOML(s *redact.Secrets, text string, links []string) ([]byte, error) {
	var tree map[string]any
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") {
			s.Heard(trimmed)
		}
	}
	if _, err := toml.Decode(text, &tree); err != nil {
		s.Heard(text)
		var at toml.ParseError
		if errors.As(err, &at) { // its message may quote the file
			return nil, fmt.Errorf("it is no TOML: line %d", at.Position.Line)
		}
		return nil, errors.New("it is no TOML")
	}
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(s.Tree(tree, links...)); err != nil {
		return nil, errors.New("it cannot be written again")
	}
	return out.Bytes(), nil
}
