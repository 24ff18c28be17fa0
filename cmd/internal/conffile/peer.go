package conffile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/setup"
	"github.com/wgnode/wgnode/probe/host/kernelwg"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

func NewPeerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "peer",
		Short: "Add, remove, list and show the peers of a configuration",
		Long: `Peer changes the peers in a configuration file and on the tunnel that runs from it.
The rest of the file stays as it is written, comments included.`,
		Example: "  wgnode peer add phone --qr\n  wgnode peer list\n  wgnode peer rm phone",
	}
	cmd.AddCommand(newPeerAddCommand(), newPeerRmCommand(), newPeerListCommand(), newPeerShowCommand())
	return cmd
}

// peerFile is the configuration that a command of peer is about.
type peerFile struct {
	name string         // the interface
	path string         // absolute
	read *config.Config // as it is written
	cfg  *config.Config // with what it points at
}

// openPeerFile finds it: the file that the tunnel of that name runs from, or would; without
// a word that of the only tunnel that runs, or the one that up would take. Only with
// secrets what commands print is read.
func openPeerFile(ctx context.Context, cmd *cobra.Command, args []string, secrets bool) (*peerFile, error) {
	path, err := peerPath(cmd, args)
	if err != nil {
		return nil, err
	}
	f := &peerFile{path: path}
	if f.read, err = config.Read(path); err == nil {
		f.name = f.read.Name
		f.cfg, err = config.Read(path)
	}
	switch {
	case err == nil && secrets:
		err = f.cfg.Resolve(ctx)
	case err == nil:
		_, err = f.cfg.ResolveFiles()
	}
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return nil, errors.Join(err, cli.BecomeRoot(cmd))
	}
	return f, cli.WithHint(err, naming.KeyHints(err)...)
}

func peerPath(cmd *cobra.Command, args []string) (string, error) {
	began, err := running.Began()
	if err != nil {
		return "", fmt.Errorf("look for running nodes: %w", err)
	}
	var name string
	switch {
	case len(args) > 0:
		it, err := naming.ResolveWord(args[0])
		if errors.Is(err, naming.ErrNotInterface) {
			err = cli.NewUsageError(cmd, err)
		}
		if err != nil || it.File != "" {
			return it.File, err
		}
		name = it.Name
	case len(began) == 0:
		return naming.FindConfig(nil)
	default:
		if name, err = naming.NodeToChange(cmd, nil, naming.BeganNames(began)); err != nil {
			return "", err
		}
	}
	for _, b := range began {
		if b.Name == name && b.Config != "" {
			return b.Config, nil
		}
	}
	return naming.FindConfig([]string{name})
}

// claims are what a new peer must keep away from: what the file gives away, and what the
// tunnel has besides, as wg(8) may have set it.
func (f *peerFile) claims() []setup.Claim {
	all := setup.Claims(f.cfg)
	add := func(public key.Public, prefixes []netip.Prefix) {
		if slices.ContainsFunc(f.cfg.Peers, func(p config.Peer) bool { return p.PublicKey == public }) {
			return
		}
		for _, p := range prefixes {
			if p.Bits() > 0 {
				whose := fmt.Sprintf("that of peer %s, which %s has and its file has not", public.Short(), f.name)
				all = append(all, setup.Claim{Prefix: p, Whose: whose})
			}
		}
	}
	if status, err := uapi.Get(f.name); err == nil {
		for i := range status.Peers {
			add(status.Peers[i].PublicKey, status.Peers[i].AllowedIPs)
		}
	} else if device, err := kernelwg.Read(f.name); err == nil {
		for i := range device.Peers {
			add(device.Peers[i].Public, device.Peers[i].AllowedIPs)
		}
	}
	return all
}

// peer returns the peer that a word names: by its name, or its public key.
func (f *peerFile) peer(word string) (*config.Peer, error) {
	public, kerr := key.ParsePublic(word)
	var found []*config.Peer
	for i := range f.cfg.Peers {
		if p := &f.cfg.Peers[i]; kerr == nil && p.PublicKey == public || kerr != nil && p.Name == word {
			found = append(found, p)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) > 1 {
		return nil, cli.WithHint(fmt.Errorf("%s has %d peers called %s", f.path, len(found), config.Redact(word)), "give the public key instead")
	}
	err := fmt.Errorf("%s has no peer %s", f.path, config.Redact(word))
	var names []string
	for i := range f.cfg.Peers {
		if n := f.cfg.Peers[i].Name; n != "" {
			names = append(names, n)
		}
	}
	if near := config.Nearest(word, names); near != "" {
		return nil, cli.WithHint(err, "did you mean "+config.ShellQuote(near)+"?")
	}
	return nil, cli.WithHint(err, "`wgnode peer list "+f.word()+"` lists those there are")
}

// word is what a command line calls the file.
func (f *peerFile) word() string {
	if filepath.Dir(f.path) == config.Dir && strings.TrimSuffix(filepath.Base(f.path), filepath.Ext(f.path)) == f.name {
		return f.name
	}
	return config.ShellQuote(f.path)
}

// completePeers offers the names of a configuration's peers, then configurations.
func completePeers(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return naming.CompleteConfigs(cmd, args[1:], toComplete)
	}
	f, err := openPeerFile(cmd.Context(), cmd, nil, false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for i := range f.cfg.Peers {
		if p := &f.cfg.Peers[i]; p.Name != "" {
			words = append(words, p.Name)
		} else {
			words = append(words, p.PublicKey.Base64())
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
