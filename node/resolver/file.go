package resolver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/wgnode/wgnode/node/safefile"
)

// stack is what a resolv.conf of ours holds: the original, and the settings of
// the tunnels that are up, in the order in which they came. The last ones are
// in effect.
type stack struct {
	Tunnels []Settings `json:"tunnels"`
	Before  Snapshot   `json:"before"` // in the file, without its content
	Size    int        `json:"size"`   // of that content, in bytes
}

const (
	headMark = "#wgnode " // before the stack as JSON
	lineMark = "#|"       // before each line of the original's content
)

// stackOf returns what a file holds. What is not ours is the original.
func stackOf(s *Snapshot) (st stack, ours bool) {
	if st, ok := parse(s.Content); ok {
		return st, true
	}
	return stack{Before: *s}, false
}

// parse reads the text of a file of ours. One that was cut short is not ours:
// its original would be incomplete.
func parse(text []byte) (stack, bool) {
	_, rest, ok := bytes.Cut(text, []byte("\n"+headMark))
	if !ok {
		return stack{}, false
	}
	head, body, _ := bytes.Cut(rest, []byte("\n"))
	var st stack
	if err := json.Unmarshal(head, &st); err != nil || len(st.Tunnels) == 0 || st.Size < 0 {
		return stack{}, false
	}
	var content []byte
	for line := range bytes.Lines(body) {
		if line, ok := bytes.CutPrefix(line, []byte(lineMark)); ok {
			content = append(content, line...)
		}
	}
	// There is one byte more if the original did not end with a new line.
	if len(content) < st.Size || len(content) > st.Size+1 {
		return stack{}, false
	}
	st.Before.Content = content[:st.Size]
	return st, true
}

// text is the file's.
func (st stack) text() ([]byte, error) {
	top := st.Tunnels[len(st.Tunnels)-1]
	content := st.Before.Content
	st.Before.Content, st.Size = nil, len(content)
	head, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The name servers of %s, set by wgnode. \"wgnode down %[1]s\" puts back what was here\n"+
		"# before, by the lines below; so changes made here are lost.\n%s%s%s\n", top.Link, top.lines(), headMark, head)
	for line := range bytes.Lines(content) {
		b.WriteString(lineMark)
		b.Write(line)
	}
	if len(content) > 0 && content[len(content)-1] != '\n' {
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// remove takes a tunnel out, and reports whether it was there.
func (st *stack) remove(link string) bool {
	n := len(st.Tunnels)
	st.Tunnels = slices.DeleteFunc(st.Tunnels, func(s Settings) bool { return s.Link == link })
	return len(st.Tunnels) < n
}

// prune takes out the tunnels that are gone: their nodes were killed, or the
// machine was restarted.
func (h Host) prune(st *stack) {
	has := h.hasLink
	if has == nil {
		has = func(name string) bool { _, err := net.InterfaceByName(name); return err == nil }
	}
	st.Tunnels = slices.DeleteFunc(st.Tunnels, func(s Settings) bool { return !has(s.Link) })
}

// snapshot is the file that a stack asks for.
func (st stack) snapshot() (*Snapshot, error) {
	if len(st.Tunnels) == 0 {
		return &st.Before, nil
	}
	text, err := st.text()
	return regular(text), err
}

// push is what the file before becomes by a change.
func (h Host) push(before *Snapshot, c Change) (*Snapshot, error) {
	st, _ := stackOf(before)
	h.prune(&st)
	st.remove(c.Link)
	st.Tunnels = append(st.Tunnels, c.Settings)
	return st.snapshot()
}

func (h Host) doFile(c Change) error {
	path := h.resolvConf()
	err := locked(path, func() error {
		now, err := takeSnapshot(path)
		if err != nil {
			return err
		}
		after, err := h.push(now, c)
		if err != nil {
			return err
		}
		if err := after.put(path); err != nil {
			return errors.Join(err, h.restore(path, now))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write name servers of %s to %s: %w", c.Link, path, err)
	}
	return nil
}

// restore puts back what was there before something failed.
func (h Host) restore(path string, before *Snapshot) error {
	now, err := takeSnapshot(path)
	if err != nil || now.equal(before) {
		return err
	}
	return before.put(path)
}

func (h Host) undoFile(c Change) error {
	path := h.resolvConf()
	err := locked(path, func() error {
		if err := safefile.RemoveRemains(path); err != nil && !unnamable(err) {
			return err
		}
		now, err := takeSnapshot(path)
		if err != nil {
			return err
		}
		st, ours := stackOf(now)
		switch {
		case ours:
			if !st.remove(c.Link) {
				return ErrNotSet
			}
			h.prune(&st)
			after, err := st.snapshot()
			if err != nil {
				return err
			}
			return after.put(path)
		case now.equal(c.Before):
			return ErrNotSet
		}
		// Neither ours nor what was there before: perhaps half of each.
		done, err := h.push(c.Before, c)
		if err != nil {
			return err
		}
		if mixed(now.Content, done.Content, c.Before.Content) || mixed(now.Content, c.Before.Content, done.Content) {
			return c.Before.put(path)
		}
		return ErrChanged
	})
	if err != nil {
		return fmt.Errorf("restore %s: %w", path, err)
	}
	return nil
}

// locked keeps other nodes from changing the file while f does.
func locked(path string, f func() error) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close() // which unlocks
	if err := safefile.Lock(d); err != nil {
		return fmt.Errorf("lock %s: %w", d.Name(), err)
	}
	return f()
}
