package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe"
)

// completeConfigs completes the first argument with the names that have a
// configuration, or, where none of them begins so, with the paths of files. A
// .conf takes a path with a slash: without, it is the name of an interface.
func completeConfigs(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
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

// completeFile leaves it to the shell.
func completeFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeDown offers what there is to take down, also the dead.
func completeDown(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeKnown(args, func(k *node.Known) bool { return k.State != node.StateForeign && k.State != node.StateKernel })
}

// completeDead offers what there is to recover.
func completeDead(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeKnown(args, func(k *node.Known) bool { return k.State == node.StateDead })
}

// completeRunning offers the nodes that run.
func completeRunning(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeKnown(args, func(k *node.Known) bool { return k.State == node.StateRunning })
}

// completeKnown offers as first argument those of the nodes that match, as far
// as they can be seen: nobody wants an error message in the line that is being
// typed.
func completeKnown(args []string, match func(*node.Known) bool) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, _ := node.List()
	var names []string
	for i := range all {
		if match(&all[i]) {
			names = append(names, all[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// namesIn returns the interfaces that a folder has files of, as far as it can
// be read: nobody wants an error message in the line that is being typed.
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

// findConfig returns the absolute path of the configuration that args name, or
// of the one that needs no naming.
func findConfig(args []string) (string, error) {
	arg := ""
	if len(args) > 0 {
		arg = args[0]
	}
	path, err := config.Find(arg)
	if err != nil {
		return "", withHint(err, findHints(err)...)
	}
	return filepath.Abs(path)
}

// loadConfig is config.Load until ctx ends.
func loadConfig(ctx context.Context, path string) (*config.Config, error) {
	cfg, err := config.Read(path)
	if err == nil {
		err = cfg.Resolve(ctx)
	}
	return cfg, withHint(err, keyHints(err)...)
}

// keyHints says how the keys are made that a configuration lacks, as an example
// does that was not edited yet.
func keyHints(err error) []string {
	var faults config.Errors
	if _, foreign := errors.AsType[*safefile.Untrusted](err); foreign || !errors.As(err, &faults) {
		return nil // where there is a key that others could change, another one is no cure
	}
	at := func(names ...string) bool {
		return slices.ContainsFunc(faults, func(e *config.Error) bool { return slices.Contains(names, e.Key) })
	}
	var hints []string
	if at("PrivateKey", "private_key", "private_key_file") {
		hints = append(hints, "`wgnode genkey` makes a private key; it stays on this host")
	}
	if at("PublicKey", "public_key") {
		hints = append(hints, "a peer's public key is what `wgnode pubkey` on its host prints when given its private key")
	}
	return hints
}

// peerNames returns what the peers of a tunnel can be called by, for completion.
func peerNames(cmd *cobra.Command, name string) []string {
	peers, err := peersOf(cmd.Context(), name)
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

// anyPeer stands in for a node's peers where only the rest of a filter counts.
func anyPeer(string) ([]probe.PeerID, error) { return []probe.PeerID{1}, nil }
