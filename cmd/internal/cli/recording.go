package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/recording"
)

// ErrFileAndName: a recording and a running node were both given.
var ErrFileAndName = errors.New("-r replaces NAME and flags that are about a running node")

// ReadFlag gives a command the flag -r.
func ReadFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "read", "r", "", "read the recording or bundle `FILE` instead of a running node; \"-\" is standard input")
	_ = cmd.MarkFlagFilename("read", "pcapng", "gz") // fails only for a flag that is not there
}

// WithRecording opens a recording and has use read it to its end. It warns of what
// the recording lacks.
func WithRecording(cmd *cobra.Command, path string, use func(*recording.Reader) error) error {
	r, done, err := openRecording(cmd, path)
	if err != nil {
		return WithHint(err, RecordingHints(err)...)
	}
	defer done()
	err = use(r)
	var found ExitStatus // a fault, which is no failure
	if err != nil && !errors.As(err, &found) {
		return WithHint(fmt.Errorf("%s: %w", path, err), RecordingHints(err)...)
	}
	if n := r.Loss().Events; n > 0 {
		err = errors.Join(err, Warn(cmd, "%s", eventtext.MissingEvents(n, "written")))
	}
	if n := r.Loss().Drops; n > 0 {
		err = errors.Join(err, Warn(cmd, "%s", eventtext.MissingDrops(n)))
	}
	if !r.Complete() {
		err = errors.Join(err, Warn(cmd, "%s has no end: it was cut off, or is still being written", path))
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

// RecordingHints say what to do about a file that is not a recording.
func RecordingHints(err error) []string {
	if errors.Is(err, recording.ErrForeign) {
		return []string{"`wgnode record NAME -w FILE` makes one"}
	}
	return nil
}
