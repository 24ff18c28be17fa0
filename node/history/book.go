package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/timeline"
)

const (
	// bound is how many bytes the two files of a name take, and boundPeer how many more for each
	// peer: some ten changes of it.
	bound     = 4 << 20
	boundPeer = 2 << 10

	suffix    = ".history"
	oldSuffix = ".history.old"

	// maxSummary bounds a text that may quote what others sent.
	maxSummary = 400
)

// sessionLife is for how long after its handshake a peer counts as up (REJECT_AFTER_TIME).
const sessionLife = 180 * time.Second

// Book is the history file of one tunnel, open to be written. It is not safe for concurrent use.
type Book struct {
	// Tell, if not nil, is called with each line about a peer once it is noted, and with the line about
	// that peer before it, nil if there is none.
	Tell func(line, before *timeline.Line)

	path, old string
	file      *os.File // nil: nothing is written
	size      int64
	last      map[key.Public]timeline.Line // what was said last of each peer
}

// Create opens the history of the tunnel of a name, in a folder of this user's own that is made if
// need be, and notes that a node has started at a time.
func Create(dir, name string, at time.Time) (*Book, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create history folder: %w", err)
	}
	folder, err := safefile.OpenFolder(dir, safefile.Self())
	if err != nil {
		return nil, fmt.Errorf("history folder: %w", err)
	}
	if err := folder.Close(); err != nil {
		return nil, fmt.Errorf("history folder: %w", err)
	}
	b := &Book{path: filepath.Join(dir, name+suffix), old: filepath.Join(dir, name+oldSuffix), last: make(map[key.Public]timeline.Line)}
	if err := b.open(); err != nil {
		return nil, err
	}
	if err := b.write(timeline.Line{At: at, What: timeline.Started, Version: timeline.Version, PID: os.Getpid()}); err != nil {
		return nil, errors.Join(err, b.file.Close())
	}
	if err := b.turn(at); err != nil { // nodes that start and die again and again fill it, too
		return nil, errors.Join(err, b.file.Close())
	}
	return b, nil
}

// Unwritten returns a book that is in memory alone, for [Book.Tell].
func Unwritten() *Book { return &Book{last: make(map[key.Public]timeline.Line)} }

func (b *Book) open() error {
	f, err := safefile.Append(b.path, 0o600)
	if err != nil {
		return fmt.Errorf("open history: %w", err)
	}
	if err := lock(f); err != nil {
		return errors.Join(fmt.Errorf("open history %s: %w", b.path, err), f.Close())
	}
	st, err := f.Stat()
	if err == nil && st.Mode().IsRegular() && st.Size() > 0 {
		err = endLine(b.path, f, st.Size())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open history %s: %w", b.path, err), f.Close())
	}
	b.file, b.size = f, st.Size()
	return nil
}

// endLine ends a line that a process was killed over, so that the next one stands by itself.
func endLine(path string, f *os.File, size int64) error {
	r, err := safefile.Open(path, safefile.Self())
	if err != nil {
		return err
	}
	last := make([]byte, 1)
	_, err = r.ReadAt(last, size-1)
	if err = errors.Join(err, r.Close()); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.Write([]byte{'\n'})
	return err
}

// Note writes down what has changed since the last time, of all peers that are configured, at a
// time. A peer that is only in the course of a handshake is left as it was: it is up, or fails, in
// a moment. One that was never seen is not mentioned before it is. An error leaves what was noted before.
func (b *Book) Note(at time.Time, peers []diagnose.PeerReport) error {
	var news []timeline.Line
	present := make(map[key.Public]bool, len(peers))
	for i := range peers {
		p := &peers[i]
		k, err := key.ParsePublic(p.Peer)
		if err != nil {
			return fmt.Errorf("note peer %q: %w", p.Peer, err)
		}
		present[k] = true
		old, known := b.last[k]
		if p.State == diagnose.StateHandshaking || !known && p.State == diagnose.StateNeverSeen {
			continue
		}
		if l := lineOf(at, k, p, old); !known || !old.Says(&l) {
			news = append(news, l)
		}
	}
	for k, l := range b.last {
		if !present[k] {
			news = append(news, timeline.Line{At: at, What: timeline.Removed, Peer: k, Name: l.Name})
		}
	}
	if len(news) == 0 {
		return nil
	}
	slices.SortStableFunc(news, func(x, y timeline.Line) int { return x.At.Compare(y.At) })
	if err := b.write(news...); err != nil {
		return err
	}
	for _, l := range news {
		if b.Tell != nil {
			var before *timeline.Line
			if old, known := b.last[l.Peer]; known {
				before = &old
			}
			b.Tell(&l, before)
		}
		if l.What == timeline.Removed {
			delete(b.last, l.Peer)
		} else {
			b.last[l.Peer] = l
		}
	}
	return b.turn(at)
}

// lineOf is the line of a peer. A session ends at a known time, whenever that is noticed.
func lineOf(at time.Time, k key.Public, p *diagnose.PeerReport, before timeline.Line) timeline.Line {
	v := &p.Verdict
	l := timeline.Line{At: at, What: timeline.Changed, Peer: k, Name: p.PeerName, State: p.State, Code: v.Code, Certain: v.Certain,
		Summary: cut(v.Summary)}
	if !v.Healthy() && v.Code != diagnose.Idle {
		l.Checkpoint = v.Checkpoint.String()
	}
	if p.State == diagnose.StateStale && before.State == diagnose.StateUp && p.HandshakeAge > sessionLife {
		if end := at.Add(sessionLife - p.HandshakeAge); end.After(before.At) {
			l.At = end
		}
	}
	return l
}

// cut shortens a text to maxSummary bytes, at a rune's beginning.
func cut(s string) string {
	if len(s) <= maxSummary {
		return s
	}
	n := maxSummary
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}

// Close notes that the node has stopped at a time.
func (b *Book) Close(at time.Time) error {
	if b.file == nil {
		return nil
	}
	return errors.Join(b.write(timeline.Line{At: at, What: timeline.Stopped}), b.file.Close())
}

// write appends lines, all or none.
func (b *Book) write(lines ...timeline.Line) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for i := range lines {
		lines[i].At = lines[i].At.UTC().Truncate(time.Millisecond)
		if err := enc.Encode(&lines[i]); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	if b.file == nil {
		return nil
	}
	n, err := b.file.Write(text.Bytes())
	if err != nil {
		if n > 0 { // a disk that is full took half of a line
			err = errors.Join(err, b.file.Truncate(b.size))
		}
		return fmt.Errorf("write history: %w", err)
	}
	b.size += int64(n)
	return nil
}

// turn begins a new file when this one has grown to half of what there may be.
func (b *Book) turn(at time.Time) error {
	if b.size < (bound+int64(len(b.last))*boundPeer)/2 {
		return nil
	}
	if err := os.Rename(b.path, b.old); err != nil {
		return fmt.Errorf("put history aside: %w", err)
	}
	if err := b.file.Close(); err != nil {
		return fmt.Errorf("put history aside: %w", err)
	}
	if err := b.open(); err != nil {
		return err
	}
	lasts := []timeline.Line{{At: at, What: timeline.Continued, Version: timeline.Version}}
	for _, l := range b.last {
		lasts = append(lasts, l)
	}
	slices.SortStableFunc(lasts[1:], func(x, y timeline.Line) int { return x.At.Compare(y.At) })
	return b.write(lasts...)
}
