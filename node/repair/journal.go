package repair

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/safefile"
)

// version is that of the files. A later one is not read.
const version = 1

// maxRecord bounds what is read of one, in bytes.
const maxRecord = 1 << 20

// Record is a fix that was applied. Its JSON form is a file in the journal's folder.
type Record struct {
	Version   int       `json:"version"`
	ID        int       `json:"id"` // counts up
	Time      time.Time `json:"time"`
	Interface string    `json:"interface"`
	For       string    `json:"for"` // the code of what it was to mend
	Deeds     []Deed    `json:"deeds"`
}

// Journal is a folder with a file for each fix that was applied and not undone. Like
// what it describes it does not outlast a restart of the machine.
type Journal struct{ dir string }

// In is the journal in a run folder, which need not exist.
func In(runDir string) Journal { return Journal{filepath.Join(runDir, "fixes")} }

// lock makes the folder, if need be, and keeps other processes from it.
func (j Journal) lock() (unlock func(), err error) {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, fmt.Errorf("create journal of fixes: %w", err)
	}
	f, err := safefile.OpenFolder(j.dir, safefile.Self())
	if err != nil {
		return nil, fmt.Errorf("journal of fixes: %w", err)
	}
	if err = safefile.Lock(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal of fixes: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

func (j Journal) path(id int) string { return filepath.Join(j.dir, strconv.Itoa(id)+".json") }

// List returns what was applied and not undone, the newest first. The error is about
// files that cannot be read; the others are returned.
func (j Journal) List() ([]Record, error) {
	entries, err := os.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list fixes: %w", err)
	}
	var all []Record
	var errs []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if _, err := strconv.Atoi(name); err != nil || !ok {
			continue
		}
		r, err := readRecord(filepath.Join(j.dir, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(b.ID, a.ID) })
	return all, errors.Join(errs...)
}

// readRecord reads a file that only root and this user can have written: what it says is run.
func readRecord(path string) (*Record, error) {
	var r Record
	if err := safefile.ReadJSON(path, maxRecord, &r); err != nil {
		return nil, fmt.Errorf("read fix %s: %w", path, err)
	}
	if r.Version != version {
		return nil, fmt.Errorf("read fix %s: it is of version %d, this program reads version %d", path, r.Version, version)
	}
	return &r, nil
}

// write keeps a record, or removes it if nothing is left to be undone.
func (j Journal) write(r *Record) error {
	if len(r.Deeds) == 0 {
		if err := os.Remove(j.path(r.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove fix from the journal: %w", err)
		}
		return nil
	}
	if err := safefile.WriteJSON(j.path(r.ID), false, r); err != nil {
		return fmt.Errorf("write fix into the journal: %w", err)
	}
	return nil
}
