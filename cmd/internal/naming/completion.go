package naming

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/running"
)

// CompleteConfigs completes the first argument with the names that have a
// configuration, or, where none of them begins so, with the paths of files. A
// .conf takes a path with a slash: without, it is the name of an interface.
func CompleteConfigs(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := append(namesIn(config.Dir, ".conf", toComplete), namesIn(config.Dir, ".toml", toComplete)...)
	if slices.Sort(names); len(names) > 0 {
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
	if strings.Contains(toComplete, "/") {
		return []string{"conf", "toml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

// CompleteDown offers what there is to take down, also the dead.
func CompleteDown(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return CompleteKnown(args, func(k *running.Known) bool { return k.State != running.StateForeign && k.State != running.StateKernel })
}

// CompleteDead offers what there is to recover.
func CompleteDead(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return CompleteKnown(args, func(k *running.Known) bool { return k.State == running.StateDead })
}

// CompleteRunning offers the nodes that run.
func CompleteRunning(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return CompleteKnown(args, func(k *running.Known) bool { return k.State == running.StateRunning })
}

// CompleteKnown offers as first argument those of the nodes that match, as far
// as they can be seen: no error message belongs in the line that is being
// typed.
func CompleteKnown(args []string, match func(*running.Known) bool) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, _ := running.List()
	var names []string
	for i := range all {
		if match(&all[i]) {
			names = append(names, all[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// namesIn returns the interfaces that a folder has files of, as far as it can
// be read: no error message belongs in the line that is being typed.
func namesIn(dir, suffix, prefix string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if ok && config.ValidName(name) && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// CompleteNodes offers the names of what can be looked at as first argument.
func CompleteNodes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := Lookable()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// CompletePeerFlag offers the names of the peers of the tunnel that is named, or of all.
func CompletePeerFlag(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	names := args
	if len(names) == 0 {
		names, _ = Lookable() // no error message belongs in the line that is being typed
	}
	var words []string
	for _, name := range names {
		for _, word := range PeerNames(cmd, name) {
			if strings.HasPrefix(word, begin) { // a shell need not read ten thousand
				words = append(words, word)
			}
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// PeerNames returns what the peers of a tunnel can be called by, for completion.
func PeerNames(cmd *cobra.Command, name string) []string {
	peers, err := PeersOf(cmd.Context(), name)
	if err != nil {
		return nil
	}
	var words []string
	for _, p := range peers {
		if p.Name != "" {
			words = append(words, p.Name)
			continue
		}
		words = append(words, p.PublicKey.Base64())
	}
	return words
}

// Without is names less those of left.
func Without(names, left []string) (rest []string) {
	for _, name := range names {
		if !slices.Contains(left, name) {
			rest = append(rest, name)
		}
	}
	return rest
}
