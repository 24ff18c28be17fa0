package diagnosis

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/trace"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/render"
	"github.com/wgnode/wgnode/probe/walk"
)

func NewTraceCommand() *cobra.Command {
	var o struct {
		json    bool
		svg     string
		timeout time.Duration
	}
	cmd := &cobra.Command{
		Use:   "trace [CONF|NAME] DEST[:PORT]",
		Short: "Follow one packet and its reply through this host, step by step",
		Long: `Trace sends one packet through the tunnel NAME: the first of a TCP connection if
a port is given, else an ICMP echo request. It shows step by step what happens to
it on this host: each routing rule, each netfilter chain with the rules that
matched, cryptokey routing, encapsulation, and the same again for the encrypted
packet, and for the reply. If the packet is lost, the last step names the rule.
NAME can be omitted if only one node runs, and may follow DEST, which is an address, the
name of a peer or of a host, as for explain.

Each step has its evidence. "Not visible" are steps that this host does not show,
because privileges are missing or a userspace network stack has the packet.

--svg also draws the walk.

Exit status: 0 the reply came back, 1 the trace could not run, 2 the packet or its
reply was lost, and the last line says where; or the command line is wrong.`,
		Example: `  wgnode trace wg0 192.168.200.22:80
  wgnode trace wg0 192.168.200.22 --svg walk.svg`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, target, err := naming.NodeAndTarget(cmd, args)
			if err != nil {
				return err
			}
			w, err := runTrace(cmd, name, trace.Request{Target: target, Timeout: o.timeout})
			if err != nil {
				return err
			}
			if o.svg != "" {
				if err := writeDrawing(o.svg, render.WalkSVG(w)); err != nil {
					return fmt.Errorf("draw the walk: %w", err)
				}
			}
			if err := cli.PrintReport(cmd, w, o.json, func() error {
				return render.Walk(cmd.OutOrStdout(), w, cli.TextOptions(cmd))
			}); err != nil {
				return err
			}
			if !w.Outcome.Answered {
				return cli.StatusFault
			}
			return nil
		},
		ValidArgsFunction: naming.CompleteExplain,
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "how long to wait for the reply (default "+timeouts+")")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&o.svg, "svg", "", "draw the walk into `FILE`")
	_ = cmd.MarkFlagFilename("svg", "svg") // fails only for a flag that is not there
	return cmd
}

func runTrace(cmd *cobra.Command, name string, req trace.Request) (*walk.Walk, error) {
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return nil, err
	}
	done := cli.Waiting(cmd, "waiting for the reply of %s for up to %v", probe.TargetText(req.Target), req.Timeout)
	w, err := c.Trace(cmd.Context(), req)
	done()
	if err != nil {
		return nil, fmt.Errorf("trace %s on %s: %w", probe.TargetText(req.Target), name, err)
	}
	return w, nil
}

// writeDrawing writes a drawing into a file, whole or not at all.
func writeDrawing(path string, svg []byte) error {
	return safefile.Write(path, safefile.Options{Mode: 0o644}, func(w io.Writer) error {
		_, err := w.Write(svg)
		return err
	})
}
