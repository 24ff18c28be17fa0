package diagnosis

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/recording"
)

// This file is about commands that read a bundle where they read a recording: beside that it
// has what was found out on its host, which a recording cannot show.

// openBundle reads a bundle; nil if the file is a recording, or standard input.
func openBundle(path string) (*bundle.Contents, error) {
	if path == "-" {
		return nil, nil
	}
	c, err := bundle.Read(path)
	if errors.Is(err, bundle.ErrNone) {
		return nil, nil // who reads recordings says what else it is
	}
	return c, err
}

// foundThere says whose words follow.
func foundThere(cmd *cobra.Command, what string, in *bundle.Index) error {
	return cli.Warn(cmd, "%s on %s, %s", what, in.Host, in.Made.Format(time.DateTime+" MST"))
}

// explainBundle prints the explanation that a bundle has of a flow. It reports whether it has one.
func explainBundle(cmd *cobra.Command, c *bundle.Contents, req *explain.Request, asJSON bool) (done bool, err error) {
	if c == nil || c.Explain == nil || req.From.IsValid() || c.Explain.Target != probe.FlowText(req.Target, req.UDP) {
		return false, nil
	}
	if err := foundThere(cmd, "explained", c.Index); err != nil {
		return true, err
	}
	return true, printExplanation(cmd, c.Explain, asJSON)
}

// adopt gives an explanation from a bundle's recording what doctor found on the host: its findings,
// and its verdict of the peer if that is a fault. Doctor has judged by the same events, and by the
// state of the host at that time, which the recording does not show; if it is not certain, what
// became of the flow itself says more.
func adopt(cmd *cobra.Command, report *diagnose.Report, c *bundle.Contents, m *recording.Meta, target netip.Addr) error {
	if c == nil || c.Doctor == nil {
		return nil
	}
	report.Findings, report.Unchecked = c.Doctor.Findings, c.Doctor.Unchecked
	if report.MTU == 0 {
		report.MTU = c.Doctor.MTU
	}
	v := &report.Verdict
	behind, name := peerBehind(m, target)
	if report.Peer == "" {
		report.Peer, report.PeerName = behind, name
	}
	if report.Peer != behind && !slices.Contains(m.Addrs, target) && !passed(report) {
		return nil // nothing shows that the flow has to do with the peer
	}
	for i := range c.Doctor.Peers {
		p := &c.Doctor.Peers[i]
		if p.Peer != report.Peer || p.Verdict.Healthy() || p.Verdict.Code == diagnose.Idle {
			continue
		}
		if v.Code != diagnose.Idle && !p.Verdict.Certain {
			continue
		}
		*v, report.Ladder, report.Side = p.Verdict, p.Ladder, p.Side
		return foundThere(cmd, "the verdict is doctor's of the peer", c.Index)
	}
	return nil
}

// passed reports whether packets of the flow itself have passed anywhere.
func passed(r *diagnose.Report) bool {
	return slices.ContainsFunc(r.Ladder, func(rung diagnose.Rung) bool {
		switch rung.Checkpoint {
		case probe.A2, probe.A3, probe.B1, probe.B2: // of the tunnel
			return false
		}
		return rung.Status == diagnose.Pass
	})
}

// peerBehind is the peer that gets packets to an address, by the AllowedIPs of a recording.
func peerBehind(m *recording.Meta, a netip.Addr) (key, name string) {
	best := -1
	for i := range m.Peers {
		p := &m.Peers[i]
		for _, prefix := range p.AllowedIPs {
			if p.Configured && prefix.Contains(a) && prefix.Bits() > best {
				best, key, name = prefix.Bits(), p.PublicKey.Base64(), p.Name
			}
		}
	}
	return key, name
}

// doctorBundle prints what doctor said on a bundle's host. It reports whether the bundle has that.
func doctorBundle(cmd *cobra.Command, path, peer string, asJSON, whole bool) (done bool, err error) {
	c, err := openBundle(path)
	if err != nil || c == nil || c.Doctor == nil {
		return err != nil, err
	}
	if err := foundThere(cmd, "found", c.Index); err != nil {
		return true, err
	}
	if err := printDoctorOf(cmd, c.Doctor, peer, asJSON, whole); err != nil {
		return true, err
	}
	return true, nil
}

// noRecording says that a bundle has none, and why.
func noRecording(path string, c *bundle.Contents) error {
	for i := range c.Index.Parts {
		if p := &c.Index.Parts[i]; p.Name == bundle.RecordingName {
			return cli.WithHint(fmt.Errorf("%s: %w: %s", path, recording.ErrNotInBundle, p.Missing),
				"`wgnode doctor -r "+path+"` says what was found on the host")
		}
	}
	return fmt.Errorf("%s: %w", path, recording.ErrNotInBundle)
}
