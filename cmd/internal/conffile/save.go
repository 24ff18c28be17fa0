package conffile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/save"
)

func NewSaveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "save [CONF|NAME]",
		Short: "Save a running tunnel's configuration into its file",
		Long: `Save writes the tunnel's current state into the file: addresses, port, key, and
peers with their endpoints. What only the file knows stays as it is: MTU, DNS, Table,
SaveConfig, hooks, comments, their order, the names of endpoints and of peers, and
where a .toml keeps its keys and shared peers. New peers come last; a removed peer
takes along the comments that named it. NAME stands for the file that the tunnel was
started with; it can be omitted if only one node runs.

The file is replaced whole or not at all, and keeps its owner and what its group
may do; others may do nothing with it afterwards.`,
		Example: "  wgnode set wg0 peer KEY allowed-ips 10.0.0.7/32\n  wgnode save wg0",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, name, err := fileToSave(cmd, args)
			own := isOwn(name, err)
			if !own { // then it is root's
				if err := cli.BecomeRoot(cmd); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			cfg, err := naming.LoadConfig(cmd.Context(), path)
			if err != nil {
				return err
			}
			cfg.Name = name
			err = save.Config(cmd.Context(), cfg, "")
			if k, _ := running.Find(name); err != nil && k != nil && k.State == running.StateDead {
				return naming.Unusable(cmd, k) // nobody answers: that is why
			}
			if errors.Is(err, fs.ErrNotExist) && own {
				return fmt.Errorf("%s runs without privileges, so wg cannot change it: there is nothing to save beyond its file", name)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return cli.WithHint(fmt.Errorf("`%s' is not a WireGuard interface", cfg.Name),
					"`wgnode up "+filepath.Base(path)+"` brings it up; `wgnode show interfaces` lists those there are")
			}
			return err
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
}

// isOwn reports whether a name that was found without an error is a node's that this
// user has started.
func isOwn(name string, err error) bool {
	if err != nil {
		return false
	}
	began, err := running.Began()
	return err == nil && slices.Contains(naming.BeganNames(began), name)
}

// fileToSave is the file that save writes, and the interface that it writes into it.
func fileToSave(cmd *cobra.Command, args []string) (path, name string, err error) {
	began, err := running.Began()
	if err != nil {
		return "", "", err
	}
	if name, err = naming.NodeToChange(cmd, args, naming.BeganNames(began)); err != nil {
		return "", "", err
	}
	if len(args) > 0 {
		it, err := naming.ResolveWord(args[0])
		if err != nil || it.File != "" {
			return it.File, name, err
		}
	}
	for _, b := range began {
		if b.Name == name && b.Config != "" {
			return b.Config, name, nil
		}
	}
	path, err = naming.FindConfig([]string{name}) // another program's interface
	return path, name, err
}
