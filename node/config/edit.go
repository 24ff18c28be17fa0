package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/key"
)

// Edit is a change of a file's peers: the text that the file has, and the one that it is
// to have. What the change is not about stays as it was written, to the last blank.
type Edit struct {
	path          string
	before, after string
	mode          fs.FileMode
}

// AddPeer is the edit that puts a peer at the end of c's file. c is as it was read,
// whether it is resolved or not. The peer's name must be one that the file's format can
// hold, and no other peer's.
func (c *Config) AddPeer(p *Peer) (*Edit, error) {
	if err := CheckPeerName(p.Name); err != nil {
		return nil, err
	}
	return c.edit(func(text string, old *Config) (string, error) {
		alone := &Config{Path: c.Path, Peers: []Peer{*p}}
		section, err := alone.text()
		if err != nil {
			return "", err
		}
		section = section[strings.Index(section, c.peerHeader()):]
		for text != "" && !strings.HasSuffix(text, "\n\n") {
			text += "\n"
		}
		want := *old
		want.Peers = append(slices.Clone(old.Peers), *p)
		return c.sayingAs(text+section, &want)
	})
}

// RemovePeer is the edit that takes the section of a peer, and the comments that name
// it, out of c's file.
func (c *Config) RemovePeer(public key.Public) (*Edit, error) {
	return c.edit(func(text string, old *Config) (string, error) {
		want := *old
		want.Peers = slices.DeleteFunc(slices.Clone(old.Peers), func(p Peer) bool { return p.PublicKey == public })
		if len(want.Peers) == len(old.Peers) {
			return "", fmt.Errorf("no peer has the key %s", public)
		}
		before, err := old.text()
		if err != nil {
			return "", err
		}
		after, err := want.text()
		if err != nil {
			return "", err
		}
		r := rewriter{old: old, want: &want, text: text, peers: make(map[string]*Peer)}
		for i := range old.Peers {
			r.peers["peer "+old.Peers[i].PublicKey.Base64()] = &old.Peers[i]
		}
		edited, ok := r.edit(before, after)
		if !ok {
			return "", errors.New("it says one thing in several places: take the peer out by hand")
		}
		if strings.HasSuffix(edited, "\n\n") {
			edited = strings.TrimRight(edited, "\n") + "\n"
		}
		return c.sayingAs(edited, &want)
	})
}

// maxPeerName is how long the name of a new peer may be, in bytes.
const maxPeerName = 64

// CheckPeerName makes sure that a new peer can be called so: in every format, and without
// being taken for a key.
func CheckPeerName(name string) error {
	_, err := key.ParsePublic(name)
	switch {
	case name == "":
		return errors.New("the name of a peer is empty")
	case err == nil:
		return errors.New("a key is not a valid peer name")
	case name != printable(name):
		return fmt.Errorf("%s begins or ends with white space, or contains characters that cannot be printed: not a valid peer name", quote(name))
	case len(name) > maxPeerName:
		return fmt.Errorf("%s is longer than %d bytes: it is not a valid peer name", quote(name), maxPeerName)
	}
	return nil
}

func (c *Config) peerHeader() string {
	if c.isTOML() {
		return "[[peer]]"
	}
	return "[Peer]"
}

// edit makes an edit of c's file by a function of its text and what that says.
func (c *Config) edit(change func(text string, old *Config) (string, error)) (*Edit, error) {
	e := &Edit{path: c.Path}
	err := c.editable()
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(c.Path)
	}
	if err == nil {
		e.mode = info.Mode().Perm()
		e.before, err = readText(c.Path)
	}
	var old *Config
	if err == nil {
		old, err = c.parseAgain(e.before)
	}
	if err == nil {
		e.after, err = change(e.before, old)
	}
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", c.Path, err)
	}
	return e, nil
}

func (c *Config) editable() error {
	if c.ForStack || c.Import != "" {
		return errors.New("it is a file of wireproxy's: wgnode convert makes a .toml of it")
	}
	return nil
}

// sayingAs returns a text that says what want does, if text does so but for names that
// stood in comments which are not taken for names any more: one above the only peer is,
// and one of many is not.
func (c *Config) sayingAs(text string, want *Config) (string, error) {
	is, err := c.parseAgain(text)
	if err != nil {
		return "", err
	}
	if !c.isTOML() && len(is.Peers) == len(want.Peers) {
		text = withNames(text, is.Peers, want.Peers)
		if is, err = c.parseAgain(text); err != nil {
			return "", err
		}
	}
	if !is.saysAs(want) {
		return "", errors.New("it would not say what was meant: change it by hand")
	}
	return text, nil
}

// withNames puts the names that peers are to have, and have not, below their headers.
func withNames(text string, is, want []Peer) string {
	var b strings.Builder
	lineNo := 0
	for line := range strings.Lines(text) {
		lineNo++
		b.WriteString(line)
		for i := range is {
			if is[i].Line == lineNo && is[i].Name != want[i].Name && want[i].Name != "" {
				fmt.Fprintf(&b, "# Name = %s\n", want[i].Name)
			}
		}
	}
	return b.String()
}

// Write replaces the file, whole or not at all. It keeps its owner and its mode. The error
// is one if the file has changed since it was read.
func (e *Edit) Write() error {
	text, err := readText(e.path)
	if err == nil && text != e.before {
		err = errors.New("another program has changed it meanwhile")
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", e.path, err)
	}
	return e.put(e.after)
}

// Restore puts back the text that Write has replaced.
func (e *Edit) Restore() error { return e.put(e.before) }

func (e *Edit) put(text string) error {
	return safefile.Write(e.path, safefile.Options{Mode: e.mode}, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader([]byte(text)))
		return err
	})
}
