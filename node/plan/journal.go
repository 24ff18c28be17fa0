package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/safefile"
)

// Journal is the record of what was done, and has not been undone, to bring
// one interface up. The copy in memory belongs to one goroutine; the file is
// replaced atomically, so that others may read it at any time.
type Journal struct {
	path string
	// tookOver says that another process has left the steps that the journal
	// began with.
	tookOver bool
	journalFile
}

// journalFile is the content of the file. It holds no secrets.
type journalFile struct {
	Version int `json:"version"`
	// Process is the node that brought the interface up; zero if it has left
	// something on purpose, and serves it no more.
	Process Process `json:"process"`
	// Guard is the process that guards the kill switch when the node has died;
	// zero if there is none.
	Guard Process `json:"guard,omitzero"`
	Link  string  `json:"link"`
	// Config is the path of the configuration, "" if it came from elsewhere:
	// its hooks are not in the journal, because they may hold secrets.
	Config string `json:"config,omitempty"`
	// Owners are the users whose configuration it may be: its hooks are run later,
	// perhaps by a root who has not become so by their sudo.
	Owners safefile.Owners `json:"owners,omitempty"`
	// Complete says that all steps were done.
	Complete bool `json:"complete,omitempty"`
	// LinkIndex tells that link from a later one of the same name. It is 0
	// until the link has been created.
	LinkIndex int    `json:"link_index,omitempty"`
	Steps     []Step `json:"steps"`
}

const journalVersion = 1

// CreateJournal starts a journal for the calling process. It creates the
// folder if need be. If the file is already there the error wraps
// fs.ErrExist: somebody is up by that name, or died while it was.
//
// config is the path of the configuration, if there is one.
func CreateJournal(path, link, config string) (*Journal, error) {
	self, err := self()
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	j := &Journal{path: path, journalFile: journalFile{Version: journalVersion, Process: self, Link: link, Config: config,
		Owners: safefile.Mine(), Steps: []Step{}}}
	if err := j.write(true); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	return j, nil
}

// maxJournal bounds what is read of a journal, in bytes. A step has some 200.
const maxJournal = 64 << 20

// JournalError says that a journal is there and does not tell what was done.
type JournalError struct {
	Path    string
	Version int   // another version's; 0 if the file is damaged
	Err     error // how it is damaged
}

func (e *JournalError) Error() string {
	if e.Version != 0 {
		return fmt.Sprintf("open journal %s: it is of version %d, this program reads version %d", e.Path, e.Version, journalVersion)
	}
	return fmt.Sprintf("open journal %s: %v", e.Path, e.Err)
}

func (e *JournalError) Unwrap() error { return e.Err }

// OpenJournal reads a journal, perhaps another process's. The error wraps
// fs.ErrNotExist if there is none, a [safefile.Untrusted] if others than root and
// this user can have written it, and a [JournalError] if it cannot be understood.
func OpenJournal(path string) (*Journal, error) {
	j := &Journal{path: path}
	err := safefile.ReadJSON(path, maxJournal, &j.journalFile)
	if errors.Is(err, safefile.ErrDamaged) {
		return nil, &JournalError{Path: path, Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	switch j.Version {
	case journalVersion:
		return j, nil
	case 0:
		return nil, &JournalError{Path: path, Err: fmt.Errorf("%w: it has no version", safefile.ErrDamaged)}
	}
	return nil, &JournalError{Path: path, Version: j.Version}
}

// TakeOver makes the journal that of the calling process, which brings the
// interface up anew from the configuration at that path. What the journal holds,
// which is a kill switch, stays done.
func (j *Journal) TakeOver(config string) error {
	self, err := self()
	if err != nil {
		return fmt.Errorf("take over journal: %w", err)
	}
	j.tookOver = true
	j.Process, j.Config, j.Owners, j.Complete, j.LinkIndex = self, config, safefile.Mine(), false, 0
	if err := j.write(false); err != nil {
		return fmt.Errorf("take over journal: %w", err)
	}
	return nil
}

// SetConfig records that the configuration is in another file.
func (j *Journal) SetConfig(path string) error {
	if j.Config == path {
		return nil
	}
	j.Config = path
	return j.replace(j.Steps)
}

// SetGuard records which process guards the kill switch.
func (j *Journal) SetGuard(p Process) error {
	j.Guard = p
	return j.replace(j.Steps)
}

// complete records that all steps were done.
func (j *Journal) complete() error {
	j.Complete = true
	if err := j.write(false); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// WasUp reports whether the hooks of going down are due: those of coming up had
// all begun.
func (j *Journal) WasUp() bool {
	return j.Complete || slices.ContainsFunc(j.Steps, func(s Step) bool { return s.Op == OpHook && s.Phase == hook.PostUp })
}

// Words for what steps leave, of several kinds that look the same to people.
const (
	LeftKillSwitch = "kill switch"
	leftFirewall   = "firewall rules"
	leftParameters = "kernel parameters"
)

// Left says what is left on the host when the process has died and its link
// with it, in words, in the order of the steps: see [LeftKillSwitch].
func (j *Journal) Left() []string {
	var left []string
	for _, s := range j.Steps {
		o := operations[s.Op]
		if o.left != "" && o.stays(s, whatIs{}) && !slices.Contains(left, o.left) {
			left = append(left, o.left)
		}
	}
	return left
}

// Mark returns the mark that the encrypted packets were given, 0 for none.
func (j *Journal) Mark() uint32 {
	for _, s := range j.Steps {
		if s.Op == OpConfigure || s.Op == OpKillSwitch {
			return s.Mark
		}
	}
	return 0
}

// eachOther calls f for each other journal in the same folder. One that vanishes
// meanwhile is none.
func (j *Journal) eachOther(f func(*Journal) error) error {
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(j.path), "*.json"))
	if err != nil {
		return fmt.Errorf("list journals: %w", err)
	}
	for _, path := range paths {
		if filepath.Clean(path) == filepath.Clean(j.path) {
			continue
		}
		other, err := OpenJournal(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue
		}
		if err == nil {
			err = f(other)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin records steps that are about to be done.
func (j *Journal) begin(steps ...Step) error {
	before := len(j.Steps)
	j.Steps = append(j.Steps, steps...)
	if err := j.write(false); err != nil {
		j.Steps = j.Steps[:before]
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// replace records that steps, and no others, are done.
func (j *Journal) replace(steps []Step) error {
	j.Steps = steps
	if err := j.write(false); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// keep records that only these steps are left to be undone, or removes the
// file if there are none.
func (j *Journal) keep(steps []Step) error {
	j.Steps = steps
	if len(steps) > 0 {
		if err := j.write(false); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
		return nil
	}
	if err := os.Remove(j.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove journal: %w", err)
	}
	return nil
}

// write replaces the file, or makes it if it must be new.
func (j *Journal) write(isNew bool) error {
	return safefile.WriteJSON(j.path, isNew, &j.journalFile)
}
