package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/recording"
)

// This file is about commands that read a recording in place of a running node.

var errFileAndName = errors.New("-r replaces NAME and flags that are about a running node")

// errFixRecording: a recording is of the past, and perhaps of another host.
var errFixRecording = errors.New("--fix needs a running node: a recording does not say what this host is like now")

// readFlag gives a command the flag -r.
func readFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "read", "r", "", "read the recording or bundle `FILE` instead of a running node; \"-\" is standard input")
	_ = cmd.MarkFlagFilename("read", "pcapng", "gz") // fails only for a flag that is not there
}

// withRecording opens a recording and has use read it to its end. It warns of what
// the recording lacks.
func withRecording(cmd *cobra.Command, path string, use func(*recording.Reader) error) error {
	r, done, err := openRecording(cmd, path)
	if err != nil {
		return withHint(err, recordingHints(err)...)
	}
	defer done()
	err = use(r)
	var found exitStatus // a fault, which is no failure
	if err != nil && !errors.As(err, &found) {
		return withHint(fmt.Errorf("%s: %w", path, err), recordingHints(err)...)
	}
	if n := r.Loss().Events; n > 0 {
		err = errors.Join(err, warn(cmd, "%s", missingEvents(n, "written")))
	}
	if n := r.Loss().Drops; n > 0 {
		err = errors.Join(err, warn(cmd, "%s", missingDrops(n)))
	}
	if !r.Complete() {
		err = errors.Join(err, warn(cmd, "%s has no end: it was cut off, or is still being written", path))
	}
	return err
}

// openRecording opens a file, or standard input.
func openRecording(cmd *cobra.Command, path string) (r *recording.Reader, done func(), err error) {
	if path == "-" {
		in, err := recording.Unwrap(cmd.InOrStdin())
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		r, err := recording.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		return r, func() {}, nil
	}
	f, err := recording.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f.Reader, func() { _ = f.Close() }, nil // it was only read
}

func warn(cmd *cobra.Command, format string, args ...any) error {
	if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "wgnode: %s\n", harmless.Line(fmt.Sprintf(format, args...))); err != nil {
		return fmt.Errorf("warn: %w", err)
	}
	return nil
}

// watchRecording prints the events of a recording, as watch does.
func watchRecording(cmd *cobra.Command, path string, req control.WatchRequest) error {
	if err := checkBoth(req.Filter, anyReason); err != nil {
		return newUsageError(cmd, err)
	}
	ctx, stop := interrupted(cmd.Context())
	defer stop()
	lines := newEventLines(cmd.OutOrStdout(), req.JSON, textOptions(cmd).Options)
	err := withRecording(cmd, path, func(r *recording.Reader) error {
		return errors.Join(printEvents(ctx, lines, r, &req), lines.Flush())
	})
	if err != nil {
		return fmt.Errorf("watch %w", err)
	}
	return nil
}

func printEvents(ctx context.Context, lines *eventLines, r *recording.Reader, req *control.WatchRequest) error {
	w := recordedWatch{r: r, words: req.Filter}
	if err := w.update(lines); err != nil {
		return err
	}
	for ctx.Err() == nil {
		p, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return w.err // a peer of the filter that never came
		}
		if err != nil {
			return err
		}
		if len(r.Meta().Peers) != w.peers {
			if err := w.update(lines); err != nil {
				return err
			}
		}
		if p.Drop != nil {
			if w.err != nil || !w.filter.MatchDrop(&p.Event, p.Drop.Reason) {
				continue
			}
			if err := lines.Recorded(&p.Event, p.Drop, r.Meta()); err != nil {
				return err
			}
			continue
		}
		if w.err != nil || !p.Event.Sampled(uint64(max(req.Every, 1))) || !w.filter.Match(&p.Event) {
			continue
		}
		if err := lines.Event(&p.Event, r.Meta()); err != nil {
			return fmt.Errorf("print events: %w", err)
		}
	}
	return nil
}

// recordedWatch is what to print of a recording. Its peers may come later than its
// beginning, and with them what a filter that names one means.
type recordedWatch struct {
	r      *recording.Reader
	words  []string
	filter *filter.Both
	err    error // why there is no filter yet
	peers  int   // that the filter knows
}

func (w *recordedWatch) update(lines *eventLines) error {
	m := w.r.Meta()
	longest := 0
	w.peers = len(m.Peers)
	peers := make([]filter.Peer, 0, w.peers)
	for i := range m.Peers {
		p := &m.Peers[i]
		peers = append(peers, filter.Peer{ID: probe.PeerID(p.ID), Key: p.PublicKey, Name: p.Name})
		longest = max(longest, len([]rune(p.Name)))
	}
	w.filter, w.err = filter.CompileBoth(w.words, filter.Among(peers), nil)
	return lines.Begin(longest)
}

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
	return withRecording(cmd, path, func(r *recording.Reader) error {
		report, err := explain.ExplainRecording(r, req)
		if err != nil {
			return err
		}
		if err := adopt(cmd, report, c, r.Meta(), req.Target.Addr()); err != nil {
			return err
		}
		return printExplanation(cmd, report, asJSON)
	})
}

func doctorRecording(cmd *cobra.Command, path, peer string, asJSON, whole bool) error {
	if done, err := doctorBundle(cmd, path, peer, asJSON, whole); done {
		return err
	}
	return withRecording(cmd, path, func(r *recording.Reader) error {
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
			return newUsageError(cmd, errFileAndName)
		}
		return err
	}
	return printDoctor(cmd, report, asJSON, whole || peer != "")
}

// recordingHints say what to do about a file that is not a recording.
func recordingHints(err error) []string {
	if errors.Is(err, recording.ErrForeign) {
		return []string{"`wgnode record NAME -w FILE` makes one"}
	}
	return nil
}
