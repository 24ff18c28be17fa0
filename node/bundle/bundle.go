package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/redact"
	"github.com/wgnode/wgnode/probe/schema"
)

// Names of parts that are read again.
const (
	IndexName     = "index.json"
	DoctorName    = "doctor.json"
	ExplainName   = "explain.json"
	RecordingName = "recording.pcapng" // as package recording looks for it
)

// Index says what a bundle holds. Its JSON form is a public contract: keys may be added, none is
// renamed.
type Index struct {
	Schema    schema.Version `json:"schema"`
	Made      time.Time      `json:"made"`
	Version   string         `json:"version"` // of wgnode
	Host      string         `json:"host"`
	Interface string         `json:"interface"`
	// Root: it was made by root. Others see less.
	Root       bool   `json:"root"`
	Anonymized bool   `json:"anonymized"`
	Parts      []Part `json:"parts"`
}

// Part is one file of a bundle.
type Part struct {
	Name string `json:"name"`
	What string `json:"what"`
	Size int    `json:"size"`
	// Cut: there was more than its bound.
	Cut bool `json:"cut,omitempty"`
	// Missing is why it could not be had, or not all of it; it has no file if Size is 0.
	Missing string        `json:"missing,omitempty"`
	Took    time.Duration `json:"took_ns"`
}

// Kind says how secrets are hidden in a part.
type Kind int

// The kinds.
const (
	Own       Kind = iota // JSON that this program wrote
	Config                // a configuration in wg-quick's format
	ConfigTOM             // a configuration in TOML
	Foreign               // text that others wrote
	Rules                 // the rules of a firewall
	Recording             // a recording of package recording
)

// Source is where a part comes from.
type Source struct {
	Name, What string
	Kind       Kind
	// Limit is how many bytes are kept: the first of them, or the last if Tail is true.
	Limit int
	Tail  bool
	// Time is how long it may take; 0 for as long as most.
	Time time.Duration
	// Get gets it, before ctx ends. What it returns beside an error is kept, too.
	Get func(ctx context.Context) ([]byte, error)
}

const (
	// partTime is how long a part may take.
	partTime = 15 * time.Second
	// defaultLimit is the size of a part, in bytes.
	defaultLimit = 1 << 20
)

// raw is a part before anything is taken out of it.
type raw struct {
	Source
	part Part
	data []byte
}

// Options say what to make.
type Options struct {
	Sources []Source
	Index   Index // but for its parts
	// Secrets and Names take out what is to be; Names nil: identities stay. Learn may tell them of
	// more, before anything is taken out.
	Secrets *redact.Secrets
	Names   *redact.Names
	// Links are names of interfaces, which stay in commands.
	Links []string
	// Told is called for each part when it has been gathered; nil for nobody.
	Told func(Part)
}

// Write gathers the parts and writes the bundle.
func Write(ctx context.Context, w io.Writer, o Options) (*Index, error) {
	parts, err := o.gather(ctx)
	if err != nil {
		return nil, err
	}
	o.clean(parts)
	index := o.Index
	index.Anonymized = o.Names != nil
	index.Host, index.Interface = o.Names.Text(index.Host), o.Names.Text(index.Interface)
	for i := range parts {
		p := &parts[i].part
		p.Size = len(parts[i].data)
		p.Missing = o.Names.Text(o.Secrets.Foreign(p.Missing))
		index.Parts = append(index.Parts, *p)
	}
	if err := archive(w, &index, parts); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	return &index, nil
}

// gather gets the parts. Only the end of ctx is an error.
func (o *Options) gather(ctx context.Context) ([]raw, error) {
	var parts []raw
	for _, s := range o.Sources {
		began := time.Now()
		r := raw{Source: s, part: Part{Name: s.Name, What: s.What}}
		limited, cancel := context.WithTimeout(ctx, cmp.Or(s.Time, partTime))
		var err error
		r.data, err = s.get(limited)
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			r.part.Missing = strings.ReplaceAll(err.Error(), "\n", "; ") // of errors that were joined
		}
		limit := cmp.Or(s.Limit, defaultLimit)
		if over := len(r.data) - limit; over > 0 {
			if r.part.Cut = true; s.Tail {
				r.data = r.data[over:]
			} else {
				r.data = r.data[:limit]
			}
		}
		if r.Kind == Config || r.Kind == ConfigTOM { // others, further on, have to know
			r.clean(o)
		}
		r.part.Took, r.part.Size = time.Since(began), len(r.data)
		if parts = append(parts, r); o.Told != nil {
			o.Told(r.part)
		}
	}
	return parts, nil
}

// get is Get, which is left alone if it does not come back.
func (s *Source) get(ctx context.Context) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result, 1)
	go func() {
		data, err := s.Get(ctx)
		got <- result{data, err}
	}()
	select {
	case r := <-got:
		return r.data, r.err
	case <-ctx.Done():
		select {
		case r := <-got: // it was told to end, and has something to say
			return r.data, r.err
		case <-time.After(time.Second):
			return nil, errors.New("it took too long")
		}
	}
}

// clean hides the secrets, and replaces identities. What the rules tell of is hidden in the others,
// too: so they come first.
func (o *Options) clean(parts []raw) {
	for _, kinds := range [][]Kind{{Rules}, {Own, Foreign, Recording}} {
		for i := range parts {
			if slices.Contains(kinds, parts[i].Kind) {
				parts[i].clean(o)
			}
		}
	}
	for i := range parts {
		r := &parts[i]
		if len(r.data) == 0 {
			continue
		}
		data, err := o.name(r)
		switch {
		case err != nil:
			r.lose(err)
		case o.Secrets.Holds(data):
			r.lose(errors.New("a secret would have been left in it"))
		default:
			r.data = data
		}
	}
}

// clean hides the secrets of a part.
func (r *raw) clean(o *Options) {
	if len(r.data) == 0 {
		return
	}
	data, err := o.hide(r)
	if err != nil {
		r.lose(err)
		return
	}
	r.data = data
}

// lose leaves a part out.
func (r *raw) lose(err error) {
	r.data = nil
	if r.part.Missing != "" {
		r.part.Missing += "; "
	}
	r.part.Missing += err.Error()
}

// hide takes secrets out.
func (o *Options) hide(r *raw) ([]byte, error) {
	text := string(r.data)
	switch r.Kind {
	case Own:
		return redact.JSON(r.data, o.Secrets.Own)
	case Config:
		return []byte(o.Secrets.Config(text, o.Links...)), nil
	case ConfigTOM:
		return hideTOML(o.Secrets, text, o.Links)
	case Rules:
		return []byte(o.Secrets.Rules(text)), nil
	case Recording:
		return r.data, nil // who made it has seen to that
	}
	return []byte(o.Secrets.Foreign(text)), nil
}

// name replaces identities.
func (o *Options) name(r *raw) ([]byte, error) {
	switch {
	case o.Names == nil:
		return r.data, nil
	case r.Kind == Own:
		return redact.JSON(r.data, o.Names.Text)
	case r.Kind == Recording:
		return nameRecording(r.data, o.Names)
	}
	return []byte(o.Names.Foreign(string(r.data))), nil
}

// archive writes the folder.
func archive(w io.Writer, index *Index, parts []raw) error {
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	zip := gzip.NewWriter(w)
	files := tar.NewWriter(zip)
	add := func(name string, data []byte) error {
		head := &tar.Header{Name: "wgnode-bundle/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: index.Made, Format: tar.FormatPAX}
		if err := files.WriteHeader(head); err != nil {
			return err
		}
		_, err := io.Copy(files, bytes.NewReader(data))
		return err
	}
	if err := add(IndexName, append(text, '\n')); err != nil {
		return err
	}
	for i := range parts {
		if len(parts[i].data) == 0 {
			continue
		}
		if err := add(parts[i].Name, parts[i].data); err != nil {
			return err
		}
	}
	return errors.Join(files.Close(), zip.Close())
}
