package repair

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/fix"
)

// maxFile bounds the configurations that are edited, in bytes.
const maxFile = 4 << 20

// edit is one line of a file that takes another's place, or is new.
type edit struct {
	Path string   `json:"path"`
	Line int      `json:"line"`          // from 0
	Old  []string `json:"old,omitempty"` // the line, or none
	New  []string `json:"new"`
}

// editable are the keys of which a line may be written, and kept in a journal: they hold
// no secret.
var editable = []string{"AllowedIPs", "MTU", "PersistentKeepalive", "ListenPort", "Address", "DNS", "Endpoint"}

// ofConfig is a line of a configuration.
func ofConfig(s fix.Step) (Deed, error) {
	switch {
	case !filepath.IsAbs(s.Where.File):
		return Deed{}, errors.New("the file is not known")
	case !slices.Contains(editable, s.Key):
		return Deed{}, errForeign
	case isBlank(s.Value):
		return Deed{}, errBlank
	}
	text, err := safefile.Read(s.Where.File, maxFile)
	if err != nil {
		return Deed{}, err
	}
	e, err := editOf(string(text), s)
	if err != nil {
		return Deed{}, err
	}
	return Deed{Step: s.Line(), File: e}, nil
}

var assignment = regexp.MustCompile(`^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*$`)

// editOf finds the section that a step means, and in it the line of its key, or where a
// new one belongs.
func editOf(text string, s fix.Step) (*edit, error) {
	all := strings.Split(text, "\n")
	begin, end, err := section(all, s.Where)
	if err != nil {
		return nil, err
	}
	key, _, _ := strings.Cut(s.Line(), " = ")
	e := &edit{Path: s.Where.File, Line: -1, New: []string{s.Line()}}
	last := begin
	for i := begin + 1; i < end; i++ {
		if strings.TrimSpace(all[i]) != "" {
			last = i
		}
		m := assignment.FindStringSubmatch(all[i])
		switch {
		case m == nil || !strings.EqualFold(m[1], key):
		case e.Line >= 0:
			return nil, fmt.Errorf("the section has several lines of %s", key)
		case strings.HasPrefix(m[2], "[") && !strings.Contains(m[2], "]") || strings.Contains(m[2], "#"):
			return nil, fmt.Errorf("its line of %s has more than a value", key)
		default:
			e.Line, e.Old = i, []string{all[i]}
		}
	}
	if e.Line < 0 {
		e.Line = last + 1
	}
	return e, nil
}

// section is from which line to which a section goes: the interface's, or a peer's.
func section(all []string, w fix.Where) (begin, end int, err error) {
	heading := func(line string) bool {
		return strings.HasPrefix(strings.TrimSpace(line), "[") && !strings.Contains(line, "=")
	}
	for i := 0; i < len(all); i++ {
		if !heading(all[i]) {
			continue
		}
		end := i + 1
		for end < len(all) && !heading(all[end]) {
			end++
		}
		if strings.EqualFold(strings.TrimSpace(all[i]), w.Heading()) && (w.Section != "Peer" || hasKey(all[i+1:end], w.Peer)) {
			return i, end, nil
		}
	}
	return 0, 0, fmt.Errorf("%s has no such section %s", w.File, w.Heading())
}

// hasKey reports whether a section is that of a public key.
func hasKey(lines []string, key string) bool {
	return key != "" && slices.ContainsFunc(lines, func(line string) bool {
		m := assignment.FindStringSubmatch(line)
		return m != nil && strings.EqualFold(strings.ReplaceAll(m[1], "_", ""), "PublicKey") && strings.HasPrefix(strings.Trim(m[2], `"`), key)
	})
}

// apply writes the file with the new line, or back with the old one. It is as the edit
// expects it, or left alone.
func (e *edit) apply(back bool) error {
	from, to := e.Old, e.New
	if back {
		from, to = to, from
	}
	text, err := safefile.Read(e.Path, maxFile)
	if err != nil {
		return err
	}
	all := strings.Split(string(text), "\n")
	if e.Line+len(from) > len(all) || !slices.Equal(all[e.Line:e.Line+len(from)], from) {
		return &ChangedError{fmt.Sprintf("line %d of %s is another", e.Line+1, e.Path)}
	}
	whole := strings.Join(slices.Replace(all, e.Line, e.Line+len(from), to...), "\n")
	return safefile.Write(e.Path, safefile.Options{Mode: 0o600}, func(w io.Writer) error {
		_, err := io.WriteString(w, whole)
		return err
	})
}
