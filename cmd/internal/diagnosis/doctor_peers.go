package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/overview"
)

// only leaves in a report what is about one peer, and about none in particular.
func only(r *diagnose.DoctorReport, peer string) error {
	if peer == "" || r.Dead {
		return nil
	}
	called := peersCalled(r.Peers, peer)
	if len(called) == 0 {
		return fmt.Errorf("%s has no peer called %q", r.Interface, peer)
	}
	r.Peers = called
	r.Findings = slices.DeleteFunc(r.Findings, func(f diagnose.Finding) bool {
		return !f.Peer.IsZero() && !slices.ContainsFunc(called, func(p diagnose.PeerReport) bool { return p.Peer == f.Peer.String() })
	})
	return nil
}

// peersCalled are those that a word means: a name, a key or the beginning of one.
func peersCalled(peers []diagnose.PeerReport, word string) (called []diagnose.PeerReport) {
	for _, exact := range []bool{true, false} {
		for i := range peers {
			p := &peers[i]
			if k, err := key.ParsePublic(p.Peer); err == nil {
				o := overview.Peer{Name: p.PeerName, PublicKey: k}
				if p.PeerName == word || p.Peer == word || !exact && o.Called(word) {
					called = append(called, *p)
				}
			}
		}
		if len(called) > 0 {
			return called
		}
	}
	return nil
}

// tunnelAndPeer reads [CONF|NAME] [PEER]. One word is a peer if it is that of a tunnel which is
// there, and not the word of a tunnel.
func tunnelAndPeer(cmd *cobra.Command, args []string) (tunnel []string, peer string, err error) {
	switch {
	case len(args) == 2:
		return args[:1], args[1], nil
	case len(args) == 0 || naming.IsTunnel(args[0]):
		return args, "", nil
	}
	names, _ := naming.Lookable() // what else there is cannot be asked
	var of []string
	for _, name := range names {
		peers, err := naming.PeersOf(cmd.Context(), name)
		if err == nil && slices.ContainsFunc(peers, func(p control.PeerName) bool {
			return (&overview.Peer{Name: p.Name, PublicKey: p.PublicKey}).Called(args[0])
		}) {
			of = append(of, name)
		}
	}
	switch len(of) {
	case 0:
		return args, "", nil // who looks for the tunnel says what there is
	case 1:
		return of, args[0], nil
	}
	return nil, "", fmt.Errorf("more than one tunnel has a peer called %q; name the tunnel, too: %s", args[0], strings.Join(of, ", "))
}

// completeDoctor offers tunnels, and then the peers of the one that was named.
func completeDoctor(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return naming.CompleteNodes(cmd, args, word)
	}
	return naming.CompletePeerFlag(cmd, args, word)
}
