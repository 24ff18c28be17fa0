package conffile

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/setup"
)

func newPeerRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME|KEY [CONF|NAME]",
		Short: "Remove a peer",
		Long: `Rm removes a peer from the configuration file, with the comments that name it, and
reloads the running tunnel: the peer is cut off at once. If this host has kept the
peer's own file, that is removed, too. If anything fails, nothing is changed.`,
		Example: "  wgnode peer rm phone\n  wgnode peer rm phone wg0",
		RunE: func(cmd *cobra.Command, args []string) error {
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // nobody reading is no reason to stop half-way
			path, err := peerPath(cmd, args[1:])
			if err != nil {
				return err
			}
			return setup.Locked(path, func() error { return removePeer(cmd, path, args[0]) })
		},
		ValidArgsFunction: completePeers,
	}
}

func removePeer(cmd *cobra.Command, path, word string) error {
	f, err := openPeerFile(cmd.Context(), cmd, []string{path}, false)
	if err != nil {
		return err
	}
	p, err := f.peer(word)
	if err != nil {
		return err
	}
	if p.Shared {
		return cli.WithHint(fmt.Errorf("%s is in the file of shared peers, %s", p, f.cfg.Interface.PeersFile),
			"take it out there, and: wgnode reload "+f.name)
	}
	edit, err := f.read.RemovePeer(p.PublicKey)
	if err != nil {
		return err
	}
	c := change{file: f, edit: edit}
	return c.do(cmd, func(string) error {
		if _, err := setup.Kept(f.path, p.Name, p.PublicKey); err != nil {
			return nil // none, or another peer's
		}
		return setup.Forget(f.path, p.Name)
	})
}

func newPeerShowCommand() *cobra.Command {
	var qr bool
	cmd := &cobra.Command{
		Use:   "show NAME [CONF|NAME]",
		Short: "Show the file for a peer's own end again, if it was kept",
		Long: `Show prints the file that "wgnode peer add --keep" made for a peer, with its private
key; with --qr as a QR code. For a peer that was added without --keep there is no
such file: it can only be added again, with new keys.`,
		Example: "  wgnode peer show phone --qr",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := openPeerFile(cmd.Context(), cmd, args[1:], false)
			if err != nil {
				return err
			}
			p, err := f.peer(args[0])
			if err != nil {
				return err
			}
			client, err := setup.Kept(f.path, p.Name, p.PublicKey)
			if err != nil {
				err = fmt.Errorf("show %s: %w", p, err)
			}
			if errors.Is(err, setup.ErrNotKept) {
				again := config.ShellQuote(args[0]) + " " + f.word()
				return cli.WithHint(err, "its private key is on the peer alone, where its file can be shown",
					"for a new one: wgnode peer rm "+again+" && wgnode peer add "+again+" --keep")
			}
			if err != nil {
				return err
			}
			text, err := confText(client)
			if err != nil {
				return err
			}
			if qr {
				return printQR(cmd, text)
			}
			return printConf(cmd, text)
		},
		ValidArgsFunction: completePeers,
	}
	cmd.Flags().BoolVar(&qr, "qr", false, "show it as a QR code")
	return cmd
}
