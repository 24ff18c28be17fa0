package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wgnode/wgnode/probe/recording"
)

const maxFiles = 64 // recordings that are shown

// file is a recording, or a bundle, that is shown: one that the user has named, or one that was
// dropped onto the page.
type file struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Given bool   `json:"given"` // named on the command line
	Size  int64  `json:"size"`
	// What its head says.
	Host      string    `json:"host,omitempty"`
	Interface string    `json:"interface,omitempty"`
	Start     time.Time `json:"start,omitzero"`
	Error     string    `json:"error,omitempty"` // why it cannot be read

	path string
	// content is one that was dropped onto the page: a file that has no name any more, so that
	// nothing of it stays, however this process ends. It is reached by its descriptor.
	content *os.File
	reading sync.RWMutex // for reading while it is read, since its path is that of a descriptor
}

// named is a recording that the user has named.
func named(path string) *file {
	f := &file{Name: filepath.Base(path), Given: true, path: path}
	if info, err := os.Stat(path); err == nil {
		f.Size = info.Size()
	}
	f.look()
	return f
}

// dropped keeps what is read from r.
func dropped(name string, r io.Reader) (*file, error) {
	content, err := os.CreateTemp("", "wgnode-web-")
	if err != nil {
		return nil, fmt.Errorf("keep the recording: %w", err)
	}
	f := &file{Name: name, content: content, path: fmt.Sprintf("/proc/self/fd/%d", content.Fd())}
	err = os.Remove(content.Name())
	if err == nil {
		f.Size, err = io.Copy(content, r)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep the recording: %w", err), content.Close())
	}
	f.look()
	return f, nil
}

// look reads the head of a recording. One that cannot be read is shown all the same, with why.
func (f *file) look() {
	r, err := recording.Open(f.path)
	if err != nil {
		f.Error = f.called(err).Error()
		return
	}
	m := r.Meta()
	f.Host, f.Interface, f.Start = m.Host, m.Interface, m.Clock.Started
	_ = r.Close() // it was only read
}

// called is an error that names the file as the user knows it.
func (f *file) called(err error) error {
	if f.content == nil {
		return err
	}
	return &calledError{err, f}
}

type calledError struct {
	error
	f *file
}

// Error implements error.
func (e *calledError) Error() string { return strings.ReplaceAll(e.error.Error(), e.f.path, e.f.Name) }

// Unwrap returns the error as it was.
func (e *calledError) Unwrap() error { return e.error }

// files are the recordings that are shown.
type files struct {
	mu    sync.Mutex
	all   []*file // in the order in which they came; guarded by mu
	space int64   // bytes of those that were dropped, and of those that come; guarded by mu
}

var (
	errManyFiles = fmt.Errorf("there are %d recordings already: remove some", maxFiles)
	errNoFile    = errors.New("there is no such recording any more")
	errNoSpace   = fmt.Errorf("recordings that are dropped here may take %d MiB together: remove some, "+
		"or name the file: wgnode web -r FILE", maxUpload>>20)
)

func (fs *files) add(f *file) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.ID = rand.Text()
	fs.all = append(fs.all, f)
}

// take keeps what was dropped onto the page.
func (fs *files) take(name string, size int64, r io.Reader) (*file, error) {
	if size < 0 {
		return nil, badQuestion{errors.New("keep the recording: its length is not said")}
	}
	if err := fs.reserve(size); err != nil {
		return nil, badQuestion{err}
	}
	f, err := dropped(name, io.LimitReader(r, size))
	if err != nil {
		fs.give(size)
		return nil, err
	}
	fs.give(size - f.Size)
	fs.add(f)
	return f, nil
}

func (fs *files) reserve(size int64) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case len(fs.all) >= maxFiles:
		return errManyFiles
	case size > maxUpload-fs.space:
		return errNoSpace
	}
	fs.space += size
	return nil
}

func (fs *files) give(size int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.space -= size
}

// list are all.
func (fs *files) list() []*file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return append([]*file{}, fs.all...)
}

// find returns those of some IDs, in their order.
func (fs *files) find(ids ...string) ([]*file, error) {
	all := fs.list()
	var found []*file
	for _, id := range ids {
		i := slices.IndexFunc(all, func(f *file) bool { return f.ID == id })
		if i < 0 {
			return nil, badQuestion{errNoFile}
		}
		found = append(found, all[i])
	}
	return found, nil
}

// remove takes one off the page. A file that the user has named stays where it is.
func (fs *files) remove(id string) error {
	fs.mu.Lock()
	i := slices.IndexFunc(fs.all, func(f *file) bool { return f.ID == id })
	if i < 0 {
		fs.mu.Unlock()
		return badQuestion{errNoFile}
	}
	f := fs.all[i]
	fs.all = slices.Delete(fs.all, i, i+1)
	fs.mu.Unlock()
	if f.content != nil {
		defer fs.give(f.Size)
	}
	return f.close()
}

// close lets go of what was kept, once nobody reads it.
func (f *file) close() error {
	if f.content == nil {
		return nil
	}
	f.reading.Lock()
	defer f.reading.Unlock()
	return f.content.Close()
}

// close lets go of all.
func (fs *files) close() error {
	fs.mu.Lock()
	all := fs.all
	fs.all = nil
	fs.mu.Unlock()
	var errs []error
	for _, f := range all {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}
