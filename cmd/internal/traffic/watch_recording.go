package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
	"github.com/wgnode/wgnode/probe/recording"
)

// watchRecording prints the events of a recording, as watch does.
func watchRecording(cmd *cobra.Command, path string, req control.WatchRequest) error {
	if err := checkBoth(req.Filter, anyReason); err != nil {
		return cli.NewUsageError(cmd, err)
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	lines := newEventLines(cmd.OutOrStdout(), req.JSON, cli.TextOptions(cmd).Options)
	err := cli.WithRecording(cmd, path, func(r *recording.Reader) error {
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
