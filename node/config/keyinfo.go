package config

import (
	"cmp"
	"slices"
)

// Stack says what becomes of a key of a node without an interface.
type Stack string

// StackOnly is a service, which a node with an interface refuses. What is skipped the node
// says; what is refused others rely on.
const (
	StackUses    Stack = "used"
	StackSkips   Stack = "skipped"
	StackRefuses Stack = "refused"
	StackOnly    Stack = "only there"
)

// Reload says how a changed value reaches a tunnel that is up.
type Reload string

// The parts of a node that a reload changes. What is read when it is needed has nothing to
// change; what only counts when the tunnel comes up the reload says.
const (
	ReloadDevice  Reload = "device"
	ReloadHost    Reload = "host"
	ReloadService Reload = "service"
	ReloadRead    Reload = "read"
	ReloadNext    Reload = "next up"
)

// Key is what the other packages have to do about a key of a .toml.
type Key struct {
	Table string // with all its parts, "" for none
	Name  string
	Conf  string // the key of a .conf that means the same, "" for none
	Stack
	Reload
}

// Keys are all keys of a .toml.
func Keys() (all []Key) {
	for i := range tomlTables {
		t := &tomlTables[i]
		for _, k := range t.keys {
			all = append(all, Key{t.name, k.name, k.conf, cmp.Or(k.stack, t.stack), cmp.Or(k.reload, t.reload)})
		}
	}
	return all
}

// KeyNames returns the names of all keys of a .toml, of every table, and of a .conf.
func KeyNames() []string {
	all := slices.Clone(allKeys)
	for _, k := range Keys() {
		all = append(all, k.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
