package bundle

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// Contents is what is read again of a bundle: nil for what it does not have.
type Contents struct {
	Index   *Index
	Doctor  *diagnose.DoctorReport
	Explain *diagnose.Report
	// Recorded: it has a recording, which package recording reads.
	Recorded bool
}

// mostRead bounds what is read of a part, in bytes.
const mostRead = 64 << 20

// ErrNone: a file is no bundle.
var ErrNone = errors.New("no bundle of wgnode's")

// Read reads the parts of a bundle that commands go on from. The error wraps [ErrNone] if the file
// is something else.
func Read(file string) (*Contents, error) {
	f, err := safefile.OpenAny(file)
	if errors.Is(err, safefile.ErrNotRegular) { // a pipe can be read once
		return nil, fmt.Errorf("%s: %w", file, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	c, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

func read(r io.Reader) (*Contents, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return nil, ErrNone
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return nil, errors.Join(ErrNone, err)
	}
	c := new(Contents)
	files := tar.NewReader(zip)
	for {
		head, err := files.Next()
		if errors.Is(err, io.EOF) && c.Index != nil {
			return c, nil
		}
		if err != nil {
			return nil, errors.Join(ErrNone, err)
		}
		name := path.Base(head.Name)
		if c.Index == nil && name != IndexName {
			return nil, ErrNone // it comes first
		}
		switch name {
		case IndexName:
			c.Index = new(Index)
			err = part(files, c.Index)
		case DoctorName:
			c.Doctor = new(diagnose.DoctorReport)
			err = part(files, c.Doctor)
		case ExplainName:
			c.Explain = new(diagnose.Report)
			err = part(files, c.Explain)
		case RecordingName:
			c.Recorded = true
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
}

func part(r io.Reader, into any) error {
	return json.NewDecoder(io.LimitReader(r, mostRead)).Decode(into)
}
