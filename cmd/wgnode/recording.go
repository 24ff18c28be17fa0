package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/probe/recording"
)

var errFileAndName = errors.New("-r replaces NAME and flags that are about a running node")

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

// recordingHints say what to do about a file that is not a recording.
func recordingHints(err error) []string {
	if errors.Is(err, recording.ErrForeign) {
		return []string{"`wgnode record NAME -w FILE` makes one"}
	}
	return nil
}

// missingDrops says that n packets which the kernel has dropped are counted alone.
func missingDrops(n uint64) string {
	return fmt.Sprintf("%d more packets were dropped by the kernel: they came too fast to be recorded one by one", n)
}

// missingEvents says that there are no lines of n events, because they came faster than
// they could be shown, or written.
func missingEvents(n uint64, done string) string {
	return fmt.Sprintf("%d events are missing: they came faster than they could be %s", n, done)
}
