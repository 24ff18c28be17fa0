package diagnosis

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/render"
)

func NewMergeCommand() *cobra.Command {
	var o struct {
		json    bool
		svg, to string
	}
	cmd := &cobra.Command{
		Use:   "merge FILE FILE...",
		Short: "Merge recordings from several hosts",
		Long: `Merge reads recordings that "wgnode record" made on different hosts at the same
time. It recognizes each message in both by the numbers in it, whatever NAT did
to its addresses. It shows how far the clocks differ; which messages were lost,
duplicated or reordered between the hosts; how long they took; how addresses were
translated; and for each flow one ladder from A1 to B8 and back, with a verdict
from the evidence of both sides. A hub and its spokes make one chain.

A message is called unknown, not lost, if a recording cannot show it: because it
began later, lacks events or was filtered. All times are by the clock of the
first file's host. The parts of one recording count as one.

--json prints all of it: every lost message by its numbers, each leg's counts, and
the verdicts in the form of explain. --svg draws the messages of the first flow:
hosts as columns, time downwards, a cross where a message was lost.

Exit status: 0 no fault, 1 the recordings cannot be read or do not belong together,
2 a fault was found, or the command line is wrong.`,
		Example: `  wgnode merge alice.pcapng hub.pcapng
  wgnode merge alice.pcapng hub.pcapng carol.pcapng --to 10.0.0.3:22
  wgnode merge a.pcapng b.pcapng --json | jq '.lost[] | [.leg, .counter]'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var opt merge.Options
			if o.to != "" {
				target, err := naming.ParseTarget(cmd.Context(), o.to)
				if err != nil {
					return cli.NewUsageError(cmd, err)
				}
				opt.Target = target
			}
			return runMerge(cmd, args, opt, o.svg, o.json)
		},
		ValidArgsFunction: completeRecordings,
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&o.svg, "svg", "", "draw the first flow's messages into `FILE`")
	cmd.Flags().StringVar(&o.to, "to", "", "only flows to this `ADDRESS[:PORT]`")
	_ = cmd.MarkFlagFilename("svg", "svg") // fails only for a flag that is not there
	return cmd
}

func completeRecordings(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"pcapng", "gz"}, cobra.ShellCompDirectiveFilterFileExt
}

func runMerge(cmd *cobra.Command, paths []string, opt merge.Options, svg string, asJSON bool) error {
	r, err := merge.Merge(cmd.Context(), paths, opt)
	if err != nil {
		return cli.WithHint(err, cli.RecordingHints(err)...)
	}
	return printMerged(cmd, r, svg, asJSON)
}

func printMerged(cmd *cobra.Command, r *merge.Result, svg string, asJSON bool) error {
	if svg != "" {
		if err := writeDrawing(svg, render.MergedSVG(r)); err != nil {
			return fmt.Errorf("draw the messages: %w", err)
		}
	}
	if err := cli.PrintReport(cmd, r, asJSON, func() error {
		return render.Merged(cmd.OutOrStdout(), r, cli.TextOptions(cmd))
	}); err != nil {
		return err
	}
	if !r.Healthy() {
		return cli.StatusFault
	}
	return nil
}
