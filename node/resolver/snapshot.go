package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/wgnode/wgnode/node/safefile"
)

// Snapshot is what a file was: absent, a symbolic link, or a regular file.
type Snapshot struct {
	Absent  bool   `json:"absent,omitempty"`
	Target  string `json:"target,omitempty"` // of a symbolic link
	Content []byte `json:"content,omitempty"`
	// Mode are the permissions of a regular file with set-id and sticky bits,
	// as chmod(2) has them.
	Mode uint32 `json:"mode,omitempty"`
	UID  int    `json:"uid,omitempty"`
	GID  int    `json:"gid,omitempty"`

	immutable bool // chattr +i
}

// errNotRegular is for what is none of the things that a snapshot can be.
var errNotRegular = errors.New("not a regular file")

// maxConf bounds the files that say how names are resolved, in bytes.
const maxConf = 1 << 20

// readConf reads one of them. Programs that are to hear of a change may have made it,
// and it may be anything.
func readConf(path string) ([]byte, error) { return safefile.Read(path, maxConf) }

// takeSnapshot looks at a file without following a link.
func takeSnapshot(path string) (*Snapshot, error) {
	info, err := os.Lstat(path)
	switch {
	case absent(err):
		return &Snapshot{Absent: true}, nil
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return &Snapshot{Target: target}, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	// Not blocking, should there be a pipe by now.
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow|noBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	var content bytes.Buffer
	if n, err := content.ReadFrom(io.LimitReader(f, maxConf+1)); err != nil {
		return nil, err
	} else if n > maxConf {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxConf)
	}
	s := &Snapshot{Content: content.Bytes()}
	s.attributes(f, info)
	return s, nil
}

// regular is a file that all may read.
func regular(content []byte) *Snapshot {
	return &Snapshot{Content: content, Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}
}

// equal leaves aside mode and owner, which do not change alone.
func (s *Snapshot) equal(t *Snapshot) bool {
	return s.Absent == t.Absent && s.Target == t.Target && bytes.Equal(s.Content, t.Content)
}

// command is the one that makes the file what it was.
func (s *Snapshot) command() string {
	switch {
	case s.Absent:
		return "rm " + resolvConf
	case s.Target != "":
		return fmt.Sprintf("ln -sfn %s %s", s.Target, resolvConf)
	}
	return "cp /dev/fd/63 " + resolvConf
}

// put makes the file what s is: atomically, unless the place forbids it.
func (s *Snapshot) put(path string) error {
	if s.Absent {
		return os.Remove(path)
	}
	err := s.rename(path)
	// A mount point cannot be renamed over; a folder may be read-only but for
	// what is mounted in it.
	if s.Target == "" && (unnamable(err)) {
		return s.write(path)
	}
	return err
}

func (s *Snapshot) rename(path string) error {
	if s.Target != "" {
		return safefile.Link(s.Target, path)
	}
	o := safefile.Options{Exactly: &safefile.Attributes{UID: s.UID, GID: s.GID, Mode: s.Mode}}
	return safefile.Write(path, o, func(w io.Writer) error {
		_, err := w.Write(s.Content)
		return err
	})
}

// write writes the content in place, and leaves owner and mode as they are. If
// it is killed half-way the file is the new text up to some place, and the old
// one from there on: see mixed.
func (s *Snapshot) write(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|noFollow, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(s.Content)
	if err == nil {
		err = f.Truncate(int64(len(s.Content)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// mixed reports whether got is what a write of to in the place of from has left
// half-way.
func mixed(got, from, to []byte) bool {
	n := 0
	for n < len(got) && n < len(to) && got[n] == to[n] {
		n++
	}
	return bytes.Equal(got[n:], from[min(n, len(from)):])
}
