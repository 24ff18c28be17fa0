package conffile

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/setup"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// PeerList is what `wgnode peer list --json` prints.
type PeerList struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	File      string         `json:"file"`
	Peers     []listedPeer   `json:"peers"`
}

// listedPeer is one peer of a configuration.
type listedPeer struct {
	Name         string         `json:"name,omitempty"`
	PublicKey    key.Public     `json:"public_key"`
	PresharedKey bool           `json:"preshared_key,omitempty"` // whether it has one
	AllowedIPs   []netip.Prefix `json:"allowed_ips"`
	Endpoint     string         `json:"endpoint,omitempty"`
	Line         int            `json:"line,omitempty"`   // of its section
	Shared       bool           `json:"shared,omitempty"` // it comes from the file of shared peers
	Kept         string         `json:"kept,omitempty"`   // the peer's own file, where it is kept
}

func newPeerListCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "list [CONF|NAME]",
		Short: "List the peers of a configuration",
		Long: `List prints the peers that a configuration file has, a line each: the name, the
AllowedIPs, the public key, and "kept" if the peer's own file is kept here. For
their state see "wgnode doctor".`,
		Example: "  wgnode peer list\n  wgnode peer list wg0 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := openPeerFile(cmd.Context(), cmd, args, false)
			if err != nil {
				return err
			}
			return cli.PrintReport(cmd, f.list(), json, func() error { return printPeers(cmd, f.list()) })
		},
		ValidArgsFunction: naming.CompleteConfigs,
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

func (f *peerFile) list() *PeerList {
	l := &PeerList{Interface: f.name, File: f.path, Peers: []listedPeer{}}
	for i := range f.cfg.Peers {
		p := &f.cfg.Peers[i]
		row := listedPeer{Name: p.Name, PublicKey: p.PublicKey, AllowedIPs: p.AllowedIPs, Endpoint: p.Endpoint, Line: p.Line, Shared: p.Shared,
			PresharedKey: !p.PresharedKey.IsZero() || p.PresharedKeyFrom != config.Source{}}
		if row.AllowedIPs == nil {
			row.AllowedIPs = []netip.Prefix{}
		}
		if _, err := setup.Kept(f.path, p.Name, p.PublicKey); err == nil {
			row.Kept = setup.KeptPath(f.path, p.Name)
		}
		l.Peers = append(l.Peers, row)
	}
	return l
}

func printPeers(cmd *cobra.Command, l *PeerList) error {
	if len(l.Peers) == 0 {
		return cli.Warn(cmd, "%s has no peers; to add one: wgnode peer add NAME", l.File)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	var errs []error
	for i := range l.Peers {
		p := &l.Peers[i]
		name, kept := p.Name, ""
		if name == "" {
			name = "-"
		}
		if p.Kept != "" {
			kept = "kept"
		}
		var allowed []string
		for _, a := range p.AllowedIPs {
			allowed = append(allowed, a.String())
		}
		line := strings.Join([]string{harmless.Line(name), strings.Join(allowed, ", "), p.PublicKey.Base64(), kept}, "\t")
		_, err := fmt.Fprintln(w, strings.TrimRight(line, "\t"))
		errs = append(errs, err)
	}
	return errors.Join(append(errs, w.Flush())...)
}
