// Package running finds the tunnels of this host, and asks them: nodes of this user, alive, stuck or
// dead, devices of the kernel's, and as far as they can be seen from here those of other users.
//
//	List, Find    what there is, in which state
//	Dial          a client of one node
//	Host          all of them asked at once, as status and top do
package running

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/unixsocket"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// State says what has become of a node.
type State string

// The states.
const (
	StateRunning State = "running" // it answers
	StateBusy    State = "busy"    // its process lives and does not answer: it comes up, or goes down
	StateDead    State = "dead"    // its process has ended, and something of it is left
	StateKernel  State = "kernel"  // no node: the kernel's WireGuard serves it
	StateForeign State = "foreign" // another user's, or in another run folder: it cannot be asked from here
)

// Known is a node that this host knows of.
type Known struct {
	Name  string
	State State
	PID   int // of its process; 0 if not known
	// Left is what a dead node has left on the host, in words; KillSwitch tells
	// whether its kill switch is among that.
	Left       []string
	KillSwitch bool
	// Ended says of a dead node that its process has ended in order, and has left
	// its kill switch on purpose.
	Ended bool
	// User is whose a foreign node is, RunDir its run folder; "" if not known. Own
	// says that it is this user's, in another run folder.
	User, RunDir string
	Own          bool
}

// List returns the nodes that this host knows of, by name: those of [rundir.Default],
// dead or alive, kill switches that no node is known for, devices of the kernel's, and those
// of other users as far as they can be seen from here. What could not be looked at is in
// the error; the rest is returned nevertheless.
func List() ([]Known, error) { return list(rundir.Default()) }

// Find is the node of that name in [List]; nil if there is none.
func Find(name string) (*Known, error) {
	if config.ValidName(name) {
		if k, err := look(rundir.Default(), name); err == nil && k.State != "" {
			return &k, nil
		}
	}
	all, err := List()
	if i := slices.IndexFunc(all, func(k Known) bool { return k.Name == name }); i >= 0 {
		return &all[i], nil
	}
	return nil, err
}

// Running lists the names of the nodes that can be reached by [Dial], in
// alphabetical order.
func Running() ([]string, error) {
	own, err := In(rundir.Default())
	var names []string
	for _, k := range own {
		if k.State == StateRunning {
			names = append(names, k.Name)
		}
	}
	return names, err
}

func list(dir string) ([]Known, error) {
	all, err := In(dir)
	errs := []error{err}
	for _, more := range []func(string) ([]Known, error){kernelDevices, abandoned, foreignDevices, foreignFolders} {
		found, err := more(dir)
		errs = append(errs, err)
		for _, k := range found {
			// The nearer one is the one that is meant.
			if !slices.ContainsFunc(all, func(o Known) bool { return o.Name == k.Name }) {
				all = append(all, k)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Known) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(errs...)
}

// In are those that have a journal or a control socket in a run folder. A
// journal that cannot be read is an error, and keeps no other from being found.
func In(dir string) ([]Known, error) {
	if err := rundir.Check(dir); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	entries, err := os.ReadDir(dir) // in alphabetical order
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var names []string
	for _, e := range entries {
		base, isSocket := strings.CutSuffix(e.Name(), ".sock")
		name, isJournal := strings.CutSuffix(base, ".json")
		if (isSocket != isJournal) && config.ValidName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var nodes []Known
	var errs []error
	for _, name := range slices.Compact(names) {
		k, err := look(dir, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("look for node %s: %w", name, err))
			continue
		}
		if k.State != "" {
			nodes = append(nodes, k)
		}
	}
	return nodes, errors.Join(errs...)
}

// Called is In, or only that of a name if it is not "".
func Called(dir, name string) ([]Known, error) {
	if name == "" {
		return In(dir)
	}
	k, err := look(dir, name)
	if err != nil || k.State == "" {
		return nil, err
	}
	return []Known{k}, nil
}

// look finds out about one name. The state is "" where it has gone meanwhile.
func look(dir, name string) (Known, error) {
	k := Known{Name: name, RunDir: dir}
	if err := rundir.Check(dir); err != nil {
		return k, err
	}
	j, err := plan.OpenJournal(rundir.Journal(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A bare device has no journal.
		if unixsocket.Served(rundir.Socket(dir, name)) {
			k.State = StateRunning
		} else if _, err := os.Lstat(rundir.Socket(dir, name)); err == nil {
			k.State = StateDead
		}
		return k, nil
	case err != nil && unixsocket.Served(rundir.Socket(dir, name)):
		k.State = StateRunning // whatever its journal says
		return k, nil
	case err != nil:
		return k, err
	}
	k.PID = j.Process.PID
	alive, err := j.Process.Alive()
	switch {
	case err != nil:
		return k, err
	case !alive:
		k.State, k.Left = StateDead, j.Left()
		k.KillSwitch = slices.Contains(k.Left, plan.LeftKillSwitch)
		k.Ended = j.Process == plan.Process{}
	case unixsocket.Served(rundir.Socket(dir, name)):
		k.State = StateRunning
	default:
		k.State = StateBusy
	}
	return k, nil
}

// kernelDevices are those that the kernel's WireGuard serves.
func kernelDevices(string) ([]Known, error) {
	names, err := kernelnode.Devices()
	var found []Known
	for _, name := range names {
		found = append(found, Known{Name: name, State: StateKernel})
	}
	return found, err
}

// abandoned are kill switches that no journal tells of and that have no
// interface. Only root can see them, and only root has any.
func abandoned(dir string) ([]Known, error) {
	if os.Geteuid() != 0 || nftables.Available() != nil {
		return nil, nil
	}
	names, err := OrphanedKillSwitches(dir)
	var nodes []Known
	for _, name := range names {
		nodes = append(nodes, Known{Name: name, State: StateDead, Left: []string{plan.LeftKillSwitch}, KillSwitch: true})
	}
	return nodes, err
}

// OrphanedKillSwitches returns the names of those that have neither a journal in
// the run folder nor an interface.
func OrphanedKillSwitches(dir string) ([]string, error) {
	links, err := nftables.KillSwitches()
	if err != nil {
		return nil, err
	}
	known, err := rundir.Journals(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	var errs []error
	for _, l := range links {
		_, err := link.ByName(l)
		switch {
		case slices.Contains(known, l) || err == nil:
		case errors.Is(err, link.ErrNotFound):
			names = append(names, l)
		default:
			errs = append(errs, err)
		}
	}
	return names, errors.Join(errs...)
}

// foreignDevices are those whose UAPI sockets, all in one folder, this user may
// not use. That they are of wgnode is not certain, nor that they are alive.
func foreignDevices(string) ([]Known, error) {
	sockets, err := uapi.Sockets()
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // as where there is no such folder
	}
	var nodes []Known
	for _, s := range sockets {
		path, perr := uapi.SocketPath(s.Name)
		if perr != nil || !errors.Is(s.Err, fs.ErrPermission) {
			continue
		}
		nodes = append(nodes, Known{Name: s.Name, State: StateForeign, User: ownerOf(path)})
	}
	return nodes, err
}

// foreignFolders are nodes in the other run folders of this host that this user
// may look into: root into everybody's, others into their own of another
// session. Such a folder is trusted for names only, and only its owner's files.
func foreignFolders(dir string) ([]Known, error) {
	var dirs []string
	for _, pattern := range []string{"/run/user/*/wgnode", filepath.Join(os.TempDir(), "wgnode-*")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("list run folders: %w", err)
		}
		dirs = append(dirs, found...)
	}
	var nodes []Known
	for _, d := range dirs {
		uid := filepath.Base(filepath.Dir(d))
		if base, ok := strings.CutPrefix(filepath.Base(d), "wgnode-"); ok {
			uid = base
		}
		if filepath.Clean(d) == filepath.Clean(dir) || !ownedBy(d, uid) {
			continue
		}
		entries, err := os.ReadDir(d)
		if err != nil {
			continue // as good as not there
		}
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), ".sock")
			path := filepath.Join(d, e.Name())
			if ok && config.ValidName(name) && e.Type() == fs.ModeSocket && ownedBy(path, uid) && unixsocket.Served(path) {
				nodes = append(nodes, Known{Name: name, State: StateForeign, User: userName(uid), RunDir: d,
					Own: uid == strconv.Itoa(os.Geteuid())})
			}
		}
	}
	return nodes, nil
}

// ownedBy reports whether a file is that user's, and no link to elsewhere.
func ownedBy(path, uid string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() == fs.ModeSymlink {
		return false
	}
	of, ok := safefile.Owner(info)
	return ok && strconv.FormatUint(uint64(of), 10) == uid
}

// ownerOf names the owner of a file, "" if that cannot be told.
func ownerOf(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return ""
	}
	of, ok := safefile.Owner(info)
	if !ok {
		return ""
	}
	return userName(strconv.FormatUint(uint64(of), 10))
}

// userName is the name of a user, or the number if it has none.
func userName(uid string) string {
	u, err := user.LookupId(uid)
	if err != nil {
		return uid
	}
	return u.Username
}
