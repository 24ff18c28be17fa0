package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
)

// A word on the command line names the same node for every command. What it means
// to up is the measure: the name of an interface, the path of a file, or no word.

var errNotInterface = errors.New("neither an interface nor the path of a .conf named after one, nor of a .toml; " +
	"the name of an interface is at most 15 letters, digits and _=+.-")

// named is what a word stands for.
type named struct {
	name string // the interface
	// file is the absolute path of the configuration if the word is that of a file,
	// "" if it is the interface's name. The file need not be there.
	file string
}

// resolveWord returns what CONF or NAME stands for, whether the file is there or
// not: down must work without it.
func resolveWord(word string) (named, error) {
	plain := config.ValidName(word) && !strings.HasSuffix(word, ".toml")
	if plain && present(word) {
		return named{name: word}, nil
	}
	path, err := config.Find(word)
	if err != nil {
		path = word
	}
	switch {
	case strings.HasSuffix(path, ".toml"):
		return resolveTOML(path, plain)
	case plain && filepath.Dir(path) == config.Dir, plain && !strings.HasSuffix(path, ".conf"):
		return named{name: word}, nil // with a file or without
	}
	name, ok := strings.CutSuffix(filepath.Base(path), ".conf")
	if ok && len(name) > config.MaxName {
		short := filepath.Join(filepath.Dir(path), name[:config.MaxName]+".conf")
		return named{}, withHint(&config.NotFoundError{Word: name}, rename(path, short)...)
	}
	if !ok || !config.ValidName(name) {
		return named{}, fmt.Errorf("%q is %w", word, errNotInterface)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return named{}, fmt.Errorf("find configuration %s: %w", path, err)
	}
	return named{name, abs}, nil
}

// resolveTOML is resolveWord for a file that may say itself what its interface is
// called. A node that was started from it keeps its name, whatever the file has come
// to say, and also if it has gone.
func resolveTOML(path string, plain bool) (named, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return named{}, fmt.Errorf("find configuration %s: %w", path, err)
	}
	it := named{file: abs}
	if plain {
		it.file = "" // a name that means this file
	}
	started := startedFrom(abs)
	cfg, err := config.Read(path)
	switch {
	case err == nil && (len(started) == 0 || slices.Contains(started, cfg.Name)):
		it.name = cfg.Name
	case len(started) == 1:
		it.name = started[0]
	case len(started) > 1:
		return named{}, fmt.Errorf("more than one tunnel runs from %s; choose one: %s", path, strings.Join(started, ", "))
	case err != nil:
		return named{}, withHint(err, keyHints(err)...)
	}
	return it, nil
}

// present reports whether there is something of that name to speak of: an
// interface, or a node, dead or alive.
func present(name string) bool {
	if _, err := os.Stat("/sys/class/net/" + name); err == nil {
		return true
	}
	if began, err := node.Began(); err == nil && slices.ContainsFunc(began, func(b node.Beginning) bool { return b.Name == name }) {
		return true
	}
	return served(name) == 0
}

// startedFrom returns the names of the nodes of this user that were started from
// the file at an absolute path.
func startedFrom(path string) []string {
	began, err := node.Began()
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

// interfaceOf returns the interface that a word names.
func interfaceOf(word string) (string, error) {
	it, err := resolveWord(word)
	return it.name, err
}

// deviceOf is interfaceOf for the commands of wg(8): the interfaces that there are
// come first, and a word that names nothing stays as it is, for wg's own error.
func deviceOf(word string) string {
	if served(word) == 0 {
		return word
	}
	if name, err := interfaceOf(word); err == nil && served(name) == 0 {
		return name
	}
	return word
}

// nodeName is the node that a command's optional first argument names: without it
// the only one that runs.
func nodeName(cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		name, err := interfaceOf(args[0])
		if errors.Is(err, errNotInterface) {
			return "", newUsageError(cmd, err)
		}
		return name, err
	}
	all, unseen := node.List()
	name, err := pickNode(cmd, all, unseen)
	if err != nil {
		return "", err
	}
	return name, warnOfDead(cmd, all)
}

// onlyNode returns the node that is meant where none is named: the only one. Of
// several it is the one that up would bring up without a name.
func onlyNode(names []string) (string, error) {
	if len(names) == 1 {
		return names[0], nil
	}
	if path, err := config.Find(""); err == nil {
		if it, err := resolveWord(path); err == nil && slices.Contains(names, it.name) {
			return it.name, nil
		}
	}
	return "", &severalError{names}
}

// severalError: it is not clear which tunnel is meant.
type severalError struct{ names []string }

func (e *severalError) Error() string {
	return "more than one tunnel is running; choose one: " + strings.Join(e.names, ", ")
}

func beganNames(began []node.Beginning) []string {
	var names []string
	for _, b := range began {
		names = append(names, b.Name)
	}
	return names
}

// nodeToChange is nodeName for a command that changes the node. In a folder with a
// wgnode.toml no word means that file's node: it does not fall on another one.
func nodeToChange(cmd *cobra.Command, args []string, names []string) (string, error) {
	if len(args) > 0 {
		return nodeName(cmd, args)
	}
	if len(names) == 0 {
		all, unseen := node.List()
		return "", noneRuns(cmd, all, unseen)
	}
	name, err := onlyNode(names)
	if err != nil {
		return "", err
	}
	const own = "wgnode.toml"
	if _, serr := os.Stat(own); serr != nil {
		return name, nil
	}
	if it, err := resolveWord("./" + own); err != nil || it.name != name {
		err := fmt.Errorf("the tunnel of %s in this folder is not up; running: %s", own, strings.Join(names, ", "))
		return "", withHint(err, "name the tunnel that is meant")
	}
	return name, nil
}
