package naming

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/running"
)

// A word on the command line names the same node for every command. What it means
// to up is the measure: the name of an interface, the path of a file, or no word.

// ErrNotInterface: a word can be the name of no tunnel.
var ErrNotInterface = errors.New("neither an interface nor the path of a .conf named after one, nor of a .toml; " +
	"the name of an interface is at most 15 letters, digits and _=+.-")

// Named is what a word stands for.
type Named struct {
	Name string // the interface
	// file is the absolute path of the configuration if the word is that of a file,
	// "" if it is the interface's name. The file need not be there.
	File string
}

// ResolveWord returns what CONF or NAME stands for, whether the file is there or
// not: down must work without it.
func ResolveWord(word string) (Named, error) {
	plain := config.ValidName(word) && !strings.HasSuffix(word, ".toml")
	if plain && Present(word) {
		return Named{Name: word}, nil
	}
	path, err := config.Find(word)
	if err != nil {
		path = word
	}
	switch {
	case strings.HasSuffix(path, ".toml"):
		return resolveTOML(path, plain)
	case plain && filepath.Dir(path) == config.Dir, plain && !strings.HasSuffix(path, ".conf"):
		return Named{Name: word}, nil // with a file or without
	}
	name, ok := strings.CutSuffix(filepath.Base(path), ".conf")
	if ok && len(name) > config.MaxName {
		short := filepath.Join(filepath.Dir(path), name[:config.MaxName]+".conf")
		return Named{}, cli.WithHint(&config.NotFoundError{Word: name}, rename(path, short)...)
	}
	if !ok || !config.ValidName(name) {
		return Named{}, fmt.Errorf("%q is %w", word, ErrNotInterface)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Named{}, fmt.Errorf("find configuration %s: %w", path, err)
	}
	return Named{name, abs}, nil
}

// resolveTOML is ResolveWord for a file that may say itself what its interface is
// called. A node that was started from it keeps its name, whatever the file has come
// to say, and also if it has gone.
func resolveTOML(path string, plain bool) (Named, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Named{}, fmt.Errorf("find configuration %s: %w", path, err)
	}
	it := Named{File: abs}
	if plain {
		it.File = "" // a name that means this file
	}
	started := startedFrom(abs)
	cfg, err := config.Read(path)
	switch {
	case err == nil && (len(started) == 0 || slices.Contains(started, cfg.Name)):
		it.Name = cfg.Name
	case len(started) == 1:
		it.Name = started[0]
	case len(started) > 1:
		return Named{}, fmt.Errorf("more than one tunnel runs from %s; choose one: %s", path, strings.Join(started, ", "))
	case err != nil:
		return Named{}, cli.WithHint(err, KeyHints(err)...)
	}
	return it, nil
}

// Present reports whether there is something of that name to speak of: an
// interface, or a node, dead or alive.
func Present(name string) bool {
	if _, err := os.Stat("/sys/class/net/" + name); err == nil {
		return true
	}
	if began, err := running.Began(); err == nil && slices.ContainsFunc(began, func(b running.Beginning) bool { return b.Name == name }) {
		return true
	}
	return Served(name) == 0
}

// startedFrom returns the names of the nodes of this user that were started from
// the file at an absolute path.
func startedFrom(path string) []string {
	began, err := running.Began()
	if err != nil {
		return nil // then the file alone says what it is
	}
	// The nodes remember what is behind all links. A file that has gone has none.
	if behind, err := filepath.EvalSymlinks(path); err == nil {
		path = behind
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	var names []string
	for _, b := range began {
		if b.Config == path {
			names = append(names, b.Name)
		}
	}
	return names
}

// InterfaceOf returns the interface that a word names.
func InterfaceOf(word string) (string, error) {
	it, err := ResolveWord(word)
	return it.Name, err
}

// DeviceOf is InterfaceOf for the commands of wg(8): the interfaces that there are
// come first, and a word that names nothing stays as it is, for wg's own error.
func DeviceOf(word string) string {
	if Served(word) == 0 {
		return word
	}
	if name, err := InterfaceOf(word); err == nil && Served(name) == 0 {
		return name
	}
	return word
}

// NodeName is the node that a command's optional first argument names: without it
// the only one that runs.
func NodeName(cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		name, err := InterfaceOf(args[0])
		if errors.Is(err, ErrNotInterface) {
			return "", cli.NewUsageError(cmd, err)
		}
		return name, err
	}
	all, unseen := running.List()
	name, err := PickNode(cmd, all, unseen)
	if err != nil {
		return "", err
	}
	return name, WarnOfDead(cmd, all)
}

// OnlyNode returns the node that is meant where none is named: the only one. Of
// several it is the one that up would bring up without a name.
func OnlyNode(names []string) (string, error) {
	if len(names) == 1 {
		return names[0], nil
	}
	if path, err := config.Find(""); err == nil {
		if it, err := ResolveWord(path); err == nil && slices.Contains(names, it.Name) {
			return it.Name, nil
		}
	}
	return "", &SeveralError{names}
}

// SeveralError: it is not clear which tunnel is meant.
type SeveralError struct{ Names []string }

func (e *SeveralError) Error() string {
	return "more than one tunnel is running; choose one: " + strings.Join(e.Names, ", ")
}

// BeganNames are the names of nodes that have begun.
func BeganNames(began []running.Beginning) []string {
	var names []string
	for _, b := range began {
		names = append(names, b.Name)
	}
	return names
}

// NodeToChange is NodeName for a command that changes the node. In a folder with a
// wgnode.toml no word means that file's node: it does not fall on another one.
func NodeToChange(cmd *cobra.Command, args []string, names []string) (string, error) {
	if len(args) > 0 {
		return NodeName(cmd, args)
	}
	if len(names) == 0 {
		all, unseen := running.List()
		return "", NoneRuns(cmd, all, unseen)
	}
	name, err := OnlyNode(names)
	if err != nil {
		return "", err
	}
	const own = "wgnode.toml"
	if _, serr := os.Stat(own); serr != nil {
		return name, nil
	}
	if it, err := ResolveWord("./" + own); err != nil || it.Name != name {
		err := fmt.Errorf("the tunnel of %s in this folder is not up; running: %s", own, strings.Join(names, ", "))
		return "", cli.WithHint(err, "name the tunnel that is meant")
	}
	return name, nil
}
