package diagnosis

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/recording"
)

// This file is about commands that read a recording in place of a running node.

// errFixRecording: a recording is of the past, and perhaps of another host.
var errFixRecording = errors.New("--fix needs a running node: a recording does not say what this host is like now")

func explainRecording(cmd *cobra.Command, path string, req explain.Request, asJSON bool) error {
	c, err := openBundle(path)
	if err != nil {
		return err
	}
	if done, err := explainBundle(cmd, c, &req, asJSON); done {
		return err
	}
	if c != nil && !c.Recorded {
		return noRecording(path, c)
	}
	return cli.WithRecording(cmd, path, func(r *recording.Reader) error {
		report, err := explain.ExplainRecording(r, req)
		if err != nil {
			return err
		}
		if c.Adopt(report, r.Meta(), req.Target.Addr()) {
			if err := foundThere(cmd, "the verdict is doctor's of the peer", c.Index); err != nil {
				return err
			}
		}
		return printExplanation(cmd, report, asJSON)
	})
}

func doctorRecording(cmd *cobra.Command, path, peer string, asJSON, whole bool) error {
	if done, err := doctorBundle(cmd, path, peer, asJSON, whole); done {
		return err
	}
	return cli.WithRecording(cmd, path, func(r *recording.Reader) error {
		report, err := explain.DoctorRecording(r)
		if err != nil {
			return err
		}
		return printDoctorOf(cmd, report, peer, asJSON, whole)
	})
}

// printDoctorOf prints what a report of a recording says of a peer, or of all.
func printDoctorOf(cmd *cobra.Command, report *diagnose.DoctorReport, peer string, asJSON, whole bool) error {
	if err := only(report, peer); err != nil {
		if peer == report.Interface {
			return cli.NewUsageError(cmd, cli.ErrFileAndName)
		}
		return err
	}
	return printDoctor(cmd, report, asJSON, whole || peer != "")
}
