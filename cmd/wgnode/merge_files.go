package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/recording"
)

// recordingFile is one file of a recording, or one part of several.
type recordingFile struct {
	path string
	meta recording.Meta
}

// openRecordings reads the heads of files, and puts the parts of one recording
// together.
func openRecordings(paths []string) ([]merge.Recording, error) {
	var files []recordingFile
	for _, path := range paths {
		f, err := readHead(path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	var recs []merge.Recording
	for len(files) > 0 {
		id := files[0].meta.ID
		var parts []recordingFile
		files = slices.DeleteFunc(files, func(f recordingFile) bool {
			if f.meta.ID == id {
				parts = append(parts, f)
			}
			return f.meta.ID == id
		})
		slices.SortStableFunc(parts, func(a, b recordingFile) int { return cmp.Compare(a.meta.Part, b.meta.Part) })
		for i := 1; i < len(parts); i++ {
			if parts[i].meta.Part == parts[i-1].meta.Part {
				return nil, fmt.Errorf("merge %s and %s: they are the same recording", parts[i-1].path, parts[i].path)
			}
		}
		recs = append(recs, recordingOf(parts))
	}
	return recs, nil
}

// readHead reads where a recording comes from.
func readHead(path string) (recordingFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return recordingFile{}, fmt.Errorf("cannot read recording %s: %w", path, reason(err))
	}
	defer f.Close()
	r, err := recording.NewReader(f)
	if err != nil {
		return recordingFile{}, withHint(fmt.Errorf("%s: %w", path, err), recordingHints(err)...)
	}
	return recordingFile{path, *r.Meta()}, nil
}

// recordingOf is what the heads of a recording's parts say.
func recordingOf(parts []recordingFile) merge.Recording {
	m := &parts[0].meta
	return merge.Recording{Name: parts[0].path, Host: merge.Host{Name: m.Host, Interface: m.Interface, Config: m.Config, PublicKey: m.PublicKey,
		ListenPort: m.ListenPort, FwMark: m.FwMark, Addrs: m.Addrs, Start: m.Clock.Started, Filtered: len(m.Filter) > 0, Peers: peersOf(m)},
		Open: func() (merge.Source, error) { return &fileSource{parts: parts}, nil }}
}

func peersOf(m *recording.Meta) []merge.Peer {
	peers := make([]merge.Peer, len(m.Peers))
	for i, p := range m.Peers {
		peers[i] = merge.Peer{ID: p.ID, Key: p.PublicKey, Name: p.Name, AllowedIPs: p.AllowedIPs, Endpoint: p.Endpoint, Written: p.Written, Handshake: p.Handshake}
	}
	return peers
}

// Describe implements merge.Describer: peers that came later, and what stands at the
// end.
func (s *fileSource) Describe(h *merge.Host) {
	if s.r != nil {
		h.Peers, h.Saw, h.End = peersOf(s.r.Meta()), s.r.Testimonies(), s.r.EndedAt()
	}
}

// fileSource reads the parts of a recording, one after the other. One that was cut
// off ends where it was.
type fileSource struct {
	parts []recordingFile
	next  int
	file  *os.File
	r     *recording.Reader
}

// Next implements merge.Source.
func (s *fileSource) Next() (*probe.Event, uint64, error) {
	for {
		if s.file == nil {
			if s.next == len(s.parts) {
				return nil, 0, io.EOF
			}
			if err := s.open(); err != nil {
				return nil, 0, err
			}
		}
		before := s.r.Loss().Events
		p, err := s.r.Next()
		switch {
		case err == nil:
			return &p.Event, p.Lost, nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			s.file.Close() // it was only read
			s.file = nil
			if lost := s.r.Loss().Events - before; s.next == len(s.parts) && lost > 0 && lost <= s.r.Loss().Events {
				return nil, lost, io.EOF
			}
		default:
			return nil, 0, fmt.Errorf("%s: %w", s.parts[s.next-1].path, err)
		}
	}
}

func (s *fileSource) open() error {
	f, err := os.Open(s.parts[s.next].path)
	if err != nil {
		return err
	}
	r, err := recording.NewReader(f)
	if err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", s.parts[s.next].path, err)
	}
	s.file, s.r = f, r
	s.next++
	return nil
}

// Close implements merge.Source.
func (s *fileSource) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
