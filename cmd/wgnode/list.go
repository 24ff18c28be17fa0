package main

import (
	"bytes"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node"
	"github.com/wgnode/wgnode/probe/harmless"
)

// listTunnels lists the tunnels that this host knows of, each with what serves it: what wgnode
// says when it is asked nothing. Where there are none it is the help.
func listTunnels(cmd *cobra.Command) error {
	all, unseen := node.List() // what could not be looked at is for who asks for it
	if len(all) == 0 {
		return cmd.Help()
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", harmless.Line(all[i].Name), all[i].State, harmless.Line(aboutKnown(&all[i])))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n`%s --help` lists the commands\n", cmd.CommandPath())
	if _, err := cmd.OutOrStdout().Write(b.Bytes()); err != nil {
		return fmt.Errorf("list tunnels: %w", err)
	}
	if unseen != nil {
		return warn(cmd, "note: not all could be looked at: %v", unseen)
	}
	return nil
}

// aboutKnown says what serves a tunnel.
func aboutKnown(k *node.Known) string {
	switch {
	case k.State == node.StateKernel:
		return "the kernel's WireGuard"
	case k.State == node.StateDead:
		return epitaph(k)
	case k.State == node.StateForeign && k.User != "":
		return "of " + k.User
	case k.State == node.StateForeign:
		return "of another user"
	case k.PID != 0:
		return fmt.Sprintf("wgnode, pid %d", k.PID)
	}
	return "wgnode"
}
