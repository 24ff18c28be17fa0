package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/render"
)

// explainOptions are the flags of explain.
type explainOptions struct {
	passive, json bool
	from, file    string
	payload, as   string
	timeout       time.Duration
	with          withOptions
	fix           fixOptions
}

func NewExplainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use: "explain [CONF|NAME] DEST[:PORT[/udp]]", Annotations: map[string]string{cli.StatusIsVerdict: "yes"},
		Short: "Follow packets to a destination, and say what is wrong",
		Long: `Explain follows one flow through the tunnel NAME, checkpoint by checkpoint, and
gives a verdict, its evidence and the commands that fix it. NAME can be omitted
if only one node runs, and may follow DEST. DEST is an address, a peer's name, which
stands for the first address of the peer's own in its AllowedIPs, or else a host's name.

It sends a probe from this host: a TCP connection if a port is given, else ICMP
echo. With /udp behind the port it sends a datagram each second: a question of DNS to
port 53, one of NTP to port 123, else some text, or what --payload says. Whatever
comes back counts as an answer, and ICMP port unreachable as a refusal. Silence may
be the service's own: many, WireGuard among them, answer only what they understand.
With --as it sends the probe as the process PID, or the main process of the systemd
unit UNIT, would: with a socket of its user and its control group, which rules and
BPF programs may treat differently. Without it the probe is the node's own, which
usually runs as root.
With --passive it sends nothing and waits for a matching packet that another
host sent, to explain the receiving side. --from narrows that to a source: an
address inside the tunnel, or the outer address of a host that attempts a
handshake.

Below the verdict it lists other problems of the configuration on this host, as
doctor does. If the probe is answered, it also queries the configured name
servers behind the same peer.

With -r it sends nothing and explains the latest connection to DEST in a
recording of "wgnode record", from either side. DEST can be the name of a peer in the
recording. It says what a recording cannot show.

With the CODE of a verdict as its only argument, it says what that verdict means, what
it looks like on the wire, what else looks like it, and how to fix it. All codes are
in wgnode-verdicts(7). To explain a host that has the name of a code, give its port or
name the tunnel before it.

With --with USER@HOST it also hears the other end of the tunnel: it starts wgnode
there by ssh, records both ends while it sends the probe, and merges the two
recordings as "wgnode merge" does. The ladder then has the checkpoints of both
hosts, and the verdict is certain where one host had only candidates. wgnode must
run the tunnel there, and the user must be allowed to record (usually root). The
recording there ends with this command, however that ends. WGNODE_SSH replaces
ssh and its options. --with-command is a shell command that runs wgnode there;
arguments are appended. This needs some more seconds.

With --fix it then applies the fix that it printed, after a question, and asks again.
It does only steps that it knows how to undo, and undoes all of them if one fails. The
others are listed and left to you: steps that need a value that only you know, or that
are one of several alternatives. With --yes it does not ask, and applies only the fix of a verdict
that is certain. With --with, the steps of the other host are applied there. What was
applied is journaled in /run/wgnode; "wgnode undo" reverts it.

Exit status: 0 healthy, 1 the check could not run or nothing that matches was seen,
2 a fault was found.`,
		Example: `  wgnode explain wg0 192.168.200.22:80
  wgnode explain wg0 192.168.200.1:53/udp
  wgnode explain wg0 192.168.200.22:80 --passive --from 10.0.0.1
  wgnode explain wg0 192.168.200.22:443 --as nginx.service
  wgnode explain wg0 192.168.200.22:80 --with root@hub
  wgnode explain wg0 10.0.0.2 --with-command 'ssh -p 22 me@hub sudo wgnode'
  wgnode explain wg0 192.168.200.22:80 --fix
  wgnode explain -r wg0.pcapng 192.168.200.22:80
  wgnode explain psk-mismatch`,
		RunE: o.run,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			offered, directive := naming.CompleteExplain(cmd, args, toComplete)
			if len(args) == 0 {
				offered = append(offered, cli.CompleteCodes(toComplete)...)
			}
			return offered, directive
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *explainOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.passive, "passive", false, "send nothing; wait for a matching packet that another host sent")
	cmd.Flags().StringVar(&o.from, "from", "", "with --passive or -r: only flows from this `ADDRESS or PREFIX`")
	cmd.Flags().StringVar(&o.payload, "payload", "", "with /udp: send this `TEXT`, or bytes as hex:0A0B")
	cmd.Flags().StringVar(&o.as, "as", "", "send the probe as the process `PID or UNIT` would")
	cli.ReadFlag(cmd, &o.file)
	cmd.Flags().StringVar(&o.with.host, "with", "", "also hear the other end, by ssh to `USER@HOST`")
	cmd.Flags().StringVar(&o.with.command, "with-command", "", "the same, by a shell `COMMAND` that runs wgnode there")
	cmd.Flags().StringVar(&o.with.name, "with-name", "", "`NAME` of the interface there (default the only one)")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "how long to wait for a verdict (default "+timeouts+")")
	o.fix.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
}

// run reads what args name and explains it: with this host, a recording, or both ends.
func (o *explainOptions) run(cmd *cobra.Command, args []string) error {
	if code, ok := codeArgument(cmd, args); ok {
		if config.ValidName(args[0]) && naming.Present(args[0]) {
			if err := cli.Warn(cmd, "note: a tunnel has this name, too: `wgnode explain %s DEST` explains a flow through it", args[0]); err != nil {
				return err
			}
		}
		return explainCode(cmd, code, o.json)
	}
	if o.file != "" && len(args) > 1 {
		return cli.NewUsageError(cmd, cli.ErrFileAndName)
	}
	if o.fix.fix && o.file != "" {
		return cli.NewUsageError(cmd, errFixRecording)
	}
	if err := o.fix.check(cmd); err != nil {
		return err
	}
	req := explain.Request{Passive: o.passive, Timeout: o.timeout}
	words, err := o.protocol(&req, args)
	if err != nil {
		return cli.NewUsageError(cmd, err)
	}
	name, target, err := o.flow(cmd, words)
	if err != nil {
		if hint := cli.LikeCode(args[0], cmd.CommandPath()); hint != "" && len(args) == 1 {
			return cli.WithHint(err, hint)
		}
		return err
	}
	req.Target = target
	if o.as != "" {
		if o.passive || o.file != "" {
			return cli.NewUsageError(cmd, errors.New("--as needs a probe from this host: it excludes --passive and -r"))
		}
		if req.As, err = naming.ProcessOf(cmd.Context(), o.as); err != nil {
			return err
		}
	}
	if o.from != "" {
		if !o.passive && o.file == "" {
			return cli.NewUsageError(cmd, errors.New("--from needs --passive or -r: a probe always comes from this host"))
		}
		if req.From, err = parseSource(o.from); err != nil {
			return cli.NewUsageError(cmd, err)
		}
	}
	if o.with.used() {
		if o.passive || o.file != "" || o.with.host != "" && o.with.command != "" || strings.HasPrefix(o.with.host, "-") {
			return cli.NewUsageError(cmd, errors.New(
				"--with and --with-command exclude each other, --passive and -r: they need a probe from this host"))
		}
		return o.explainWith(cmd, name, req)
	}
	if o.file != "" {
		return explainRecording(cmd, o.file, req, o.json)
	}
	return o.explain(cmd, name, req)
}

// protocol takes the protocol off the arguments, and reads the payload.
func (o *explainOptions) protocol(req *explain.Request, args []string) (words []string, err error) {
	words, req.UDP, err = naming.CutUDP(args)
	if err != nil || o.payload == "" {
		return words, err
	}
	if !req.UDP || o.passive || o.file != "" {
		return nil, errors.New("--payload needs a probe by UDP: DEST:PORT/udp, without --passive and -r")
	}
	req.Payload, err = naming.ReadPayload(o.payload)
	return words, err
}

// flow reads the node and the destination; of a recording there is no node.
func (o *explainOptions) flow(cmd *cobra.Command, args []string) (string, netip.AddrPort, error) {
	if o.file == "" {
		return naming.NodeAndTarget(cmd, args)
	}
	target, found := naming.LiteralTarget(args[0])
	if found {
		return "", target, nil
	}
	var err error
	if o.file != "-" { // which can be read but once
		target, found, err = naming.RecordedTarget(o.file, args[0])
	}
	if err != nil && !found {
		return "", target, cli.WithHint(err, cli.RecordingHints(err)...)
	}
	if !found {
		target, err = naming.ParseTarget(cmd.Context(), args[0])
	}
	if err != nil {
		return "", target, cli.NewUsageError(cmd, err)
	}
	return "", target, nil
}

func (o *explainOptions) explain(cmd *cobra.Command, name string, req explain.Request) error {
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return err
	}
	what := "probing %s"
	if req.Passive {
		what = "waiting for packets to %s"
	}
	ask := func(ctx context.Context) (*BothReport, error) {
		done := cli.Waiting(cmd, what+" for up to %v", probe.FlowText(req.Target, req.UDP), req.Timeout)
		defer done()
		report, err := c.Explain(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("explain %s on %s: %w", probe.FlowText(req.Target, req.UDP), name, err)
		}
		return &BothReport{Report: report}, nil
	}
	report, err := ask(cmd.Context())
	if err != nil {
		return err
	}
	return o.answer(cmd, report, ask)
}

// answer prints a report, and applies its fix if it is to. ask asks the question again.
func (o *explainOptions) answer(cmd *cobra.Command, r *BothReport, ask func(context.Context) (*BothReport, error)) error {
	text := func() error {
		if r.Merge == nil {
			return render.Report(cmd.OutOrStdout(), r.Report, cli.TextOptions(cmd))
		}
		return render.Both(cmd.OutOrStdout(), r.Report, r.Merge, cli.TextOptions(cmd))
	}
	v := &r.Verdict
	if !o.fix.fix || v.Healthy() || v.Code == diagnose.Idle {
		if err := cli.PrintReport(cmd, r, o.json, text); err != nil {
			return err
		}
		return verdictStatus(v)
	}
	if !o.json {
		if err := text(); err != nil {
			return err
		}
	}
	p := &patient{link: r.Interface, code: string(v.Code), steps: v.Fix, certain: v.Certain,
		again: func(ctx context.Context) (*diagnose.Verdict, error) {
			r, err := ask(ctx)
			if err != nil {
				return nil, err
			}
			return &r.Verdict, nil
		}}
	if o.with.used() && r.Merge != nil && len(r.Merge.Hosts) > 1 {
		p.there, p.thereName = &o.with, r.Merge.Hosts[1].Name
		p.steps = ownSteps(v.Fix, r.Merge.Hosts[0].Name)
	}
	var err error
	if r.Applied, err = o.fix.apply(cmd, p); o.json {
		err = errors.Join(err, cli.PrintReport(cmd, r, true, nil))
	}
	if err != nil {
		return err
	}
	return r.Applied.status(verdictStatus(v))
}

func printExplanation(cmd *cobra.Command, report *diagnose.Report, asJSON bool) error {
	if err := cli.PrintReport(cmd, report, asJSON, func() error {
		return render.Report(cmd.OutOrStdout(), report, cli.TextOptions(cmd))
	}); err != nil {
		return err
	}
	return verdictStatus(&report.Verdict)
}

// verdictStatus is how explain ends. That nothing was seen is no fault that was
// found.
func verdictStatus(v *diagnose.Verdict) error {
	switch {
	case v.Healthy():
		return nil
	case v.Code == diagnose.Idle:
		return fmt.Errorf("no verdict: %s", v.Summary)
	}
	return cli.StatusFault
}

func parseSource(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("source %q: want an address or a prefix", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// timeouts says how long explain and trace wait unless told otherwise.
var timeouts = fmt.Sprintf("%s, %s where the kernel's WireGuard begins handshakes", explain.DefaultTimeout, explain.KernelTimeout)
