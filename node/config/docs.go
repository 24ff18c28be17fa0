package config

import "slices"

// KeyNames returns the names of all keys of a .toml, of every table, and of a .conf.
func KeyNames() []string {
	all := slices.Clone(allKeys)
	for i := range tomlTables {
		for _, k := range tomlTables[i].keys {
			all = append(all, k.name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
