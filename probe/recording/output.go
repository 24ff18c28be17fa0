package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// ErrFull: the recording has the size that it may have.
var ErrFull = errors.New("the recording has reached its size")

// partSuffix ends the name of a file that is being written.
const partSuffix = ".part"

// OutputOptions say how a recording is kept. The zero value is one file, however
// large.
type OutputOptions struct {
	// MaxSize is how large a file may become, in bytes; 0: any. A file is a little
	// smaller.
	MaxSize int64
	// Files, if not 0, goes on in another file when one is full, and keeps the
	// latest so many: FILE.pcapng is then FILE.00001.pcapng and so on. If it is 0
	// a recording that is full ends with [ErrFull].
	Files int
	// Force overwrites files that are there.
	Force bool
}

// Output is a recording on its way into files, or into a stream. It is not safe for
// concurrent use, but for Packets, Bytes and Lost.
//
// A file is written as FILE.part, readable by its owner alone, and gets its name
// when it is complete. What a crash leaves is FILE.part, which can be read.
type Output struct {
	path   string // "" for a stream
	opt    OutputOptions
	stream io.Writer
	file   *os.File
	direct bool // path is no regular file: it is written as it is

	w       *Writer
	meta    Meta
	secrets []byte
	lost    uint64 // events, in this part
	told    Loss   // of earlier parts
	done    []string
	packets atomic.Uint64
	missing atomic.Uint64
	bytes   atomic.Int64
	before  int64     // bytes of earlier parts
	end     time.Time // see Ended
}

// Create prepares a recording in a file, or several. It fails if there is one of
// that name, or what is left of one. Close must be called in the end.
func Create(path string, o OutputOptions) (*Output, error) {
	out := &Output{path: path, opt: o}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return nil, fmt.Errorf("write recording %s: %w", path, syscall.EISDIR)
		}
		out.direct = true // a device, or a pipe
	}
	if err := out.open(); err != nil {
		return nil, err
	}
	return out, nil
}

// To prepares a recording that goes into w.
func To(w io.Writer) *Output { return &Output{stream: w} }

// name is the name of the part that is being written.
func (o *Output) name() string {
	if o.opt.Files == 0 {
		return o.path
	}
	ext := filepath.Ext(o.path)
	return fmt.Sprintf("%s.%05d%s", strings.TrimSuffix(o.path, ext), o.meta.Part+1, ext)
}

func (o *Output) open() error {
	name := o.name()
	if o.direct {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("write recording: %w", err)
		}
		if info, err := f.Stat(); err != nil || info.Mode().IsRegular() {
			// Somebody has put a file in its place, of which nothing may be lost.
			return errors.Join(fmt.Errorf("write recording %s: %w", name, fs.ErrExist), err, f.Close())
		}
		o.file = f
		return nil
	}
	if _, err := os.Lstat(name); err == nil && !o.opt.Force {
		return fmt.Errorf("write recording %s: %w", name, fs.ErrExist)
	}
	if o.opt.Force {
		if err := os.Remove(name + partSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("write recording: %w", err)
		}
	}
	f, err := os.OpenFile(name+partSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	o.file = f
	return nil
}

// Begin says where the recording comes from. It comes first.
func (o *Output) Begin(m *Meta) error {
	o.meta = *m
	o.meta.Peers = slices.Clone(m.Peers)
	return o.begin()
}

func (o *Output) begin() error {
	w := o.stream
	if o.file != nil {
		w = o.file
	}
	var err error
	if o.w, err = NewWriter(w, &o.meta); err != nil {
		return err
	}
	if o.secrets != nil {
		err = o.w.Secrets(o.secrets)
	}
	o.count()
	return err
}

// count makes known how much was written.
func (o *Output) count() { o.bytes.Store(o.before + o.w.size) }

// Peer tells of a peer that is new.
func (o *Output) Peer(p Peer) error {
	o.meta.Peers = append(o.meta.Peers, p)
	return o.w.addPeer(p)
}

// Secrets adds lines of a key log; see [Writer.Secrets].
func (o *Output) Secrets(lines []byte) error {
	o.secrets = append(o.secrets, lines...)
	return o.w.Secrets(lines)
}

// Observed keeps what the host found out beside its events.
func (o *Output) Observed(seen *evidence.Observations) error { return o.w.Observed(seen) }

// Event writes an event; see [Writer.Event]. The error is [ErrFull] if there is no
// more room; the event is then not written.
func (o *Output) Event(e *probe.Event, captured []byte, lost uint64) error {
	// A block is a little larger than what it holds.
	if need := int64(len(captured)) + 512; o.opt.MaxSize > 0 && o.w.size+need > o.opt.MaxSize {
		if o.opt.Files == 0 {
			return ErrFull
		}
		if err := o.next(); err != nil {
			return err
		}
	}
	if lost > 0 {
		o.lost += lost
		o.missing.Add(lost)
	}
	if err := o.w.Event(e, captured, lost); err != nil {
		return err
	}
	o.packets.Add(1)
	o.count()
	return nil
}

// Drop writes a packet that the kernel has dropped; see [Output.Event] for errors.
func (o *Output) Drop(e *probe.Event, d *Drop) error {
	if o.opt.MaxSize > 0 && o.w.size+dropRoom > o.opt.MaxSize {
		if o.opt.Files == 0 {
			return ErrFull
		}
		if err := o.next(); err != nil {
			return err
		}
	}
	if err := o.w.Drop(e, d); err != nil {
		return err
	}
	o.packets.Add(1)
	o.count()
	return nil
}

// dropRoom is more than a drop takes as a rule, in bytes.
const dropRoom = 2048

// next goes on in another file, and removes the one that is too many.
func (o *Output) next() error {
	// What has happened since is in the next.
	if err := o.finish(Loss{Events: o.lost}, time.Unix(0, max(o.w.last, o.meta.Clock.Started.UnixNano()))); err != nil {
		return err
	}
	for len(o.done) > o.opt.Files-1 {
		if err := os.Remove(o.done[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the oldest part: %w", err)
		}
		o.done = o.done[1:]
	}
	o.told.Events += o.lost
	o.before += o.w.size
	o.lost = 0
	o.meta.Part++
	if err := o.open(); err != nil {
		return err
	}
	return o.begin()
}

// Ended says up to when all that happened was recorded: where it is not called, that is up to
// Close.
func (o *Output) Ended(at time.Time) { o.end = at }

// Flush hands on what is buffered.
func (o *Output) Flush() error {
	if o.w == nil {
		return nil
	}
	return o.w.Flush()
}

// Packets is how many packets and notes were written, Bytes how much that is, and
// Lost how many events are missing between them.
func (o *Output) Packets() uint64 { return o.packets.Load() }

// Lost is described at [Output.Packets].
func (o *Output) Lost() uint64 { return o.missing.Load() }

// Bytes is described at [Output.Packets].
func (o *Output) Bytes() int64 { return o.bytes.Load() }

// Files are the names of the files that are complete and were kept.
func (o *Output) Files() []string { return o.done }

// Close ends the recording. lost is what it lacks in all.
func (o *Output) Close(lost Loss) error {
	lost.Events -= min(lost.Events, o.told.Events)
	end := o.end
	if end.IsZero() {
		end = time.Now()
	}
	return o.finish(lost, end)
}

// Abort gives the recording up, and leaves what there is of it as FILE.part; if
// nothing was written yet there is nothing to leave.
func (o *Output) Abort() error {
	if o.file == nil {
		return nil
	}
	var err error
	if o.w != nil {
		err = o.w.Flush()
	}
	err = errors.Join(err, o.file.Close())
	if o.w == nil && !o.direct {
		err = errors.Join(err, os.Remove(o.file.Name()))
	}
	o.file = nil
	return err
}

// finish completes the file that is being written and gives it its name.
func (o *Output) finish(lost Loss, end time.Time) error {
	if err := o.w.CloseAt(lost, end); err != nil {
		return errors.Join(err, o.Abort())
	}
	o.count()
	if o.file == nil {
		return nil
	}
	f := o.file
	o.file = nil
	if o.direct {
		return wrapClose(f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return wrapClose(err)
	}
	name := o.name()
	if err := errors.Join(o.rename(f.Name(), name), syncFolder(name)); err != nil {
		return fmt.Errorf("finish recording: %w", err)
	}
	o.done = append(o.done, name)
	return nil
}

func wrapClose(err error) error {
	if err != nil {
		return fmt.Errorf("finish recording: %w", err)
	}
	return nil
}

// syncFolder has the name of a file on the disk, where a folder can be synced.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // it may be written, and not read
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// rename gives a finished file its name. A file that has come there meanwhile stays,
// unless it may be overwritten.
func (o *Output) rename(from, to string) error {
	if o.opt.Force {
		return os.Rename(from, to)
	}
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	// The file system has no hard links.
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	return os.Rename(from, to)
}
