package merge

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// recorded is what one host recorded: one file, or the parts of a recording that was
// divided.
type recorded struct {
	name string         // of the first file, for errors and results
	meta recording.Meta // as the first file's head has it
	// open begins to read. It is called twice, one after the other.
	open func() (source, error)
}

// source is a recording that is being read, from its beginning. Events come nearly in
// order of time: one may be later than others by a fraction of a second.
type source interface {
	// Next returns the next event, and how many events are known to be missing
	// between the previous one and this. If d is not nil it is a packet that the kernel has
	// dropped, and no event of the tunnel. The event is valid until the next call, d for ever.
	// At the end of the recording the error is [io.EOF]; events missing at the end
	// are returned with it.
	Next() (e *probe.Event, d *recording.Drop, lost uint64, err error)
	// Ending is what only the whole of a recording says, once it has been read.
	Ending() ending
	Close() error
}

// ending is what a recording's end adds to its head.
type ending struct {
	peers []recording.Peer // with those that came later
	at    time.Time        // when it ended, by the host's clock; zero: with the last event
	saw   []evidence.Observations
	drops uint64 // that the kernel has counted alone
}

// openAll reads the heads of files, and puts the parts of one recording together.
func openAll(paths []string) ([]recorded, error) {
	var parts []part
	for _, path := range paths {
		f, err := recording.Open(path)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{path, *f.Meta()})
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("read recording %s: %w", path, err)
		}
	}
	var recs []recorded
	for len(parts) > 0 {
		id := parts[0].meta.ID
		var own []part
		parts = slices.DeleteFunc(parts, func(p part) bool {
			if p.meta.ID == id {
				own = append(own, p)
			}
			return p.meta.ID == id
		})
		slices.SortStableFunc(own, func(a, b part) int { return cmp.Compare(a.meta.Part, b.meta.Part) })
		for i := 1; i < len(own); i++ {
			if own[i].meta.Part == own[i-1].meta.Part {
				return nil, fmt.Errorf("merge %s and %s: they are the same recording", own[i-1].path, own[i].path)
			}
		}
		recs = append(recs, recorded{name: own[0].path, meta: own[0].meta, open: func() (source, error) { return &files{parts: own}, nil }})
	}
	return recs, nil
}

// part is one file of a recording.
type part struct {
	path string
	meta recording.Meta
}

// files reads the parts of a recording, one after the other. A part that was cut off
// ends where it was cut.
type files struct {
	parts []part
	next  int
	open  *recording.File // nil between two parts
	last  *recording.File // that was opened
}

// Next implements source.
func (s *files) Next() (*probe.Event, *recording.Drop, uint64, error) {
	for {
		if s.open == nil {
			if s.next == len(s.parts) {
				return nil, nil, 0, io.EOF
			}
			f, err := recording.Open(s.parts[s.next].path)
			if err != nil {
				return nil, nil, 0, err
			}
			s.open, s.last = f, f
			s.next++
		}
		before := s.open.Loss().Events
		p, err := s.open.Next()
		switch {
		case err == nil:
			return &p.Event, p.Drop, p.Lost, nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			after := s.open.Loss().Events
			if err := s.Close(); err != nil {
				return nil, nil, 0, err
			}
			if s.next == len(s.parts) && after > before {
				return nil, nil, after - before, io.EOF
			}
		default:
			return nil, nil, 0, fmt.Errorf("%s: %w", s.parts[s.next-1].path, err)
		}
	}
}

// Ending implements source.
func (s *files) Ending() ending {
	if s.last == nil {
		return ending{}
	}
	return ending{s.last.Meta().Peers, s.last.EndedAt(), s.last.Observations(), s.last.Loss().Drops}
}

// Close implements source.
func (s *files) Close() error {
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	return err
}

// window is how long a message may be under way, at most, to be recognized
// without fail. A later one is if it is among the lost messages that are kept.
const window = 4 * time.Second

// Errors that say that recordings cannot be merged.
var (
	errOne       = errors.New("one recording: there is nothing to merge it with")
	errSameKey   = errors.New("the recordings are of one public key")
	errUnrelated = errors.New("the recordings have nothing in common")
	errCorrupt   = errors.New("the recording cannot be right")
)

// check refuses recordings that cannot be told apart.
func check(recs []recorded) error {
	if len(recs) < 2 {
		return errOne
	}
	if len(recs) > maxHosts {
		return fmt.Errorf("merge %d recordings: %d are the most", len(recs), maxHosts)
	}
	of := make(map[key.Public]*recorded)
	for i := range recs {
		r := &recs[i]
		k := r.meta.PublicKey
		if k.IsZero() {
			return fmt.Errorf("merge %s: it does not say whose it is: no public key", r.name)
		}
		if err := checkTime(r.name, r.meta.Clock.Started); err != nil {
			return err
		}
		if o := of[k]; o != nil {
			return fmt.Errorf("merge %s and %s: %w, %s: of one host, or of two that use one key", o.name, r.name, errSameKey, k)
		}
		of[k] = r
	}
	return nil
}

// checkTime refuses a time of a recording that cannot be calculated with.
func checkTime(name string, at time.Time) error {
	if !at.IsZero() && (at.Before(time.Unix(0, 0)) || at.After(time.Unix(0, latestTime))) {
		return fmt.Errorf("merge %s: %w: it says that it was made at %v", name, errCorrupt, at)
	}
	return nil
}

// maxHosts bounds how many recordings are merged at a time.
const maxHosts = 64
