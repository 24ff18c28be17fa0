package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe"
)

// completeConfigs completes the first argument with the names that have a
// configuration, and with files.
func completeConfigs(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	entries, err := os.ReadDir(config.Dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".conf"); ok && config.ValidName(name) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
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
		return "", err
	}
	return filepath.Abs(path)
}

// interfaceOf returns the interface that CONF or NAME stands for, whether the
// file is there or not: down must work without it.
func interfaceOf(arg string) (string, error) {
	if config.ValidName(arg) && !strings.HasSuffix(arg, ".toml") {
		return arg, nil
	}
	name, ok := strings.CutSuffix(filepath.Base(arg), ".conf")
	if !ok || !config.ValidName(name) {
		return "", fmt.Errorf("%q is neither an interface nor the path of a .conf named after one", arg)
	}
	return name, nil
}

// peerNames returns what the peers of a node can be called by, for completion.
func peerNames(cmd *cobra.Command, name string) []string {
	c, err := node.Dial(name)
	if err != nil {
		return nil
	}
	peers, err := c.Peers(cmd.Context())
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
