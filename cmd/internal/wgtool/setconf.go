package wgtool

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

func NewSetconfCommand() *cobra.Command {
	return newConfCommand("setconf", "Configure a device as a file says",
		`Replaces the configuration of a userspace WireGuard device with that of a file in
wg(8)'s format: what the file does not give is reset, and all peers that the
device had lose their sessions.`)
}

func NewAddconfCommand() *cobra.Command {
	return newConfCommand("addconf", "Add the content of a file to a device's configuration",
		`Sets on a userspace WireGuard device what a file in wg(8)'s format gives, and
leaves alone what it does not.`)
}

func NewSyncconfCommand() *cobra.Command {
	return newConfCommand("syncconf", "Change on a device what differs from a file",
		`Makes the configuration of a userspace WireGuard device that of a file in wg(8)'s
format, as setconf does, but asks the device for the differences only: the
sessions of peers that stay go on.`)
}

func newConfCommand(name, short, long string) *cobra.Command {
	return &cobra.Command{
		Use:   name + " NAME FILE",
		Short: short,
		Long: long + `

The file has wg's keys only; strip makes one from a file of wg-quick. Output and exit
status are those of wg(8), but an error in the file is reported with its line, and then
nothing is changed.

If the name of an endpoint does not resolve, it is tried three more times, or as often
as WG_ENDPOINT_RESOLUTION_RETRIES says (a number, or infinity).`,
		Example: fmt.Sprintf("  wgnode strip wg0 | wgnode %s wg0 /dev/stdin", name),
		Args:    cobra.ArbitraryArgs, // wg's own answer to wrong arguments differs from cobra's
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return failLikeWg(cmd.ErrOrStderr(), "Usage: "+cmd.Root().Name()+" "+name+" <interface> <configuration filename>", "")
			}
			return applyFile(cmd, name, naming.DeviceOf(args[0]), args[1])
		},
		ValidArgsFunction: completeDevice,
	}
}

// applyFile does what the command, one of the three, does with a file.
func applyFile(cmd *cobra.Command, command, name, path string) error {
	errOut := cmd.ErrOrStderr()
	warnOfOthers(errOut, path)
	cfg, err := readWG(path)
	var faults config.Errors
	var failed *fs.PathError
	switch {
	case errors.As(err, &faults):
		cli.ReportAs(errOut, cmd.Root().Name(), err, cli.IsTerminal(errOut) || cmd.Root().Name() == "wgnode")
		return failLikeWg(errOut, "Configuration parsing error", "`wgnode strip` leaves out the keys that are wg-quick's")
	case errors.As(err, &failed) && failed.Op == "open":
		return failLikeWg(errOut, fopenError(failed).Error(), "this is about "+path)
	case err != nil:
		return err
	}
	for _, warning := range cfg.Warnings() {
		// What it warns of is done all the same.
		_, _ = fmt.Fprintln(errOut, "Warning:", warning)
	}
	endpoints, err := newResolver(errOut).endpoints(cmd.Context(), cfg)
	if err != nil {
		return failLikeWg(errOut, err.Error()+"\nConfiguration parsing error", "")
	}
	change := changeOf(cfg, endpoints, command != "addconf")
	if command == "syncconf" {
		status, errno := naming.GetStatus(name)
		if errno != 0 {
			what := "Unable to retrieve current interface configuration: "
			if len(cfg.Peers) == 0 {
				what = "Unable to modify interface: " // wg does not look then
			}
			return failLikeWg(errOut, what+strerror(errno), missingHint(name))
		}
		change.ResetPeers(status)
		change.Reduce(status)
	}
	if errno := applyChange(name, change); errno != 0 {
		return failLikeWg(errOut, "Unable to modify interface: "+strerror(errno), missingHint(name))
	}
	return nil
}

// readWG reads a file in wg's format.
func readWG(path string) (*config.Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written: its error says nothing
	return config.ParseWG(f, path)
}

// changeOf is what cfg asks for, with the endpoints of its peers. With whole
// all else goes back to what a new device has; otherwise it is left alone.
func changeOf(cfg *config.Config, endpoints []netip.AddrPort, whole bool) *uapi.Change {
	i := &cfg.Interface
	c := &uapi.Change{ReplacePeers: whole}
	if whole || i.Given("PrivateKey") {
		c.PrivateKey = &i.PrivateKey
	}
	if whole || i.Given("ListenPort") {
		c.ListenPort = &i.ListenPort
	}
	if whole || i.Given("FwMark") {
		c.FwMark = &i.FwMark
	}
	for n := range cfg.Peers {
		p := &cfg.Peers[n]
		change := uapi.PeerChange{
			PublicKey: p.PublicKey, Endpoint: endpoints[n],
			AllowedIPs: p.AllowedIPs, RemovedIPs: p.Removed,
			// A [Peer] of a file that has no AllowedIPs asks for none.
			ReplaceIPs: !p.Incremental && (p.Line > 0 || p.Given("AllowedIPs")),
		}
		if p.Given("PresharedKey") {
			change.PresharedKey = &p.PresharedKey
		}
		if p.Given("PersistentKeepalive") {
			change.Keepalive = &p.PersistentKeepalive
		}
		c.Peers = append(c.Peers, change)
	}
	return c
}
