package diagnosis

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
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
