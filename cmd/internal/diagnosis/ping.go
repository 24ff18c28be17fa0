package diagnosis

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/ping"
	"github.com/wgnode/wgnode/node/series"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/legs"
	"github.com/wgnode/wgnode/probe/render"
)

// The exit statuses of ping are those of ping(8).
const (
	statusUnanswered = cli.ExitStatus(1)
	statusNoPing     = 2
)

const (
	defaultPingData = 56 // as with ping(8)
	defaultPingWait = 2 * time.Second
	// countAuto is how many probes follow --size auto if no count is given.
	countAuto = 4
	// mostWith is how many probes there are at most with another host: ports and sequence
	// numbers have to tell them apart.
	mostWith = 50000
)

type pingOptions struct {
	count          uint64
	interval, wait seconds
	size, payload  string
	quiet, json    bool
	with           withOptions
}

func NewPingCommand() *cobra.Command {
	o := pingOptions{interval: seconds(time.Second), wait: seconds(defaultPingWait)}
	cmd := &cobra.Command{
		Use:   "ping [CONF|NAME] PEER|ADDR[:PORT[/udp]]",
		Short: "Measure loss and latency of each leg of a path through a tunnel",
		Long: `Ping sends probes through a tunnel and measures loss and round trip, as ping does, and
for each leg of the path: this host's stack (from the socket to A1, where packets enter
the tunnel), the tunnel (A1 to A4, where they leave encrypted), the wire and the far
host (A4 to A5, where the encrypted answer arrives), and back to the socket. An
unanswered probe counts as lost on the leg after the last checkpoint that it passed.
NAME can be omitted if only one node runs. PEER is a peer's name or public key; it
stands for the first address in its AllowedIPs that is the peer's own.

It sends ICMP echo requests; with a port it opens TCP connections; with /udp after the
port it sends datagrams, each from its own port: a DNS query to port 53, an NTP request
to port 123, else some text, or what --payload says. A refusal counts as an answer.
Ctrl-C ends it and prints the summary.

Each answer is matched to its probe by identifier, sequence number and content, or by
the port. An answer after -W counts as late, and its probe as lost; further answers
count as duplicates. If the kernel had to repeat the first segment of a connection, the
probe counts as lost.

Jitter is the standard deviation of the times, the mdev of ping.

--size auto first finds the largest packet that is answered, up to the MTU of the
interface, with ICMP echo requests that must not be fragmented, and then sends probes
of that size. It lists which sizes were answered. The answer is as large as the request,
so a size without an answer may have been too large in either direction.

With --with USER@HOST it also records at the other end of the tunnel, as explain does,
and separates the two directions: to B3, where the other host receives, from B4 to B7
behind it, and from B8 back. The clocks of two hosts are known only as precisely as the
messages between them allow; the uncertainty is printed with these two legs.

A node without an interface sends the probes through its own stack. Otherwise this
command sends them, and ICMP echo needs the right to open raw sockets, or
ping_group_range.

Exit status: 0 a probe was answered, 1 none was, 2 the check could not run, or the
command line is wrong.`,
		Example: `  wgnode ping bob
  wgnode ping wg0 10.0.0.2 -c 10 -i 0.2 -q
  wgnode ping wg0 192.168.200.22:443
  wgnode ping wg0 10.0.0.1:53/udp
  wgnode ping wg0 10.0.0.2 --size auto
  wgnode ping wg0 10.0.0.2 -c 20 --with root@hub
  wgnode ping wg0 10.0.0.2 -c 5 --json | jq .loss`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.run(cmd, args)
			var found cli.ExitStatus
			if err == nil || errors.As(err, &found) {
				return err
			}
			return &cli.StatusError{Err: err, Status: statusNoPing}
		},
		ValidArgsFunction: naming.CompleteExplain,
	}
	f := cmd.Flags()
	f.Uint64VarP(&o.count, "count", "c", 0, "send `N` probes (default until Ctrl-C)")
	f.VarP(&o.interval, "interval", "i", "`SECONDS` between two probes")
	f.StringVarP(&o.size, "size", "s", "", "send `N` bytes of data, or \"auto\": the largest packet that passes (default 56)")
	f.VarP(&o.wait, "wait", "W", "`SECONDS` after which a probe counts as lost")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only the summary")
	f.StringVar(&o.payload, "payload", "", "with /udp: send this `TEXT`, or bytes as hex:0A0B")
	f.StringVar(&o.with.host, "with", "", "also hear the other end, by ssh to `USER@HOST`")
	f.StringVar(&o.with.command, "with-command", "", "the same, by a shell `COMMAND` that runs wgnode there")
	f.StringVar(&o.with.name, "with-name", "", "`NAME` of the interface there (default the only one)")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

func (o *pingOptions) run(cmd *cobra.Command, args []string) error {
	req, words, err := o.request(args)
	if err != nil {
		return cli.NewUsageError(cmd, err)
	}
	name, target, err := naming.NodeAndTarget(cmd, words)
	if err != nil {
		return err
	}
	req.Target = target
	if err := o.check(&req); err != nil {
		return cli.NewUsageError(cmd, err)
	}
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return err
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	status, err := c.Status(ctx)
	if err != nil {
		return fmt.Errorf("ping through %s: %w", name, err)
	}
	if status.Elsewhere {
		return fmt.Errorf("ping through %s: the interface is another network namespace's: ping there", name)
	}
	run := series.Options{Interface: name, Client: c, Status: status, Request: req, CountAfterSizes: countAuto,
		Searching: func() func() { return cli.Waiting(cmd, "looking for the largest packet that passes") }}
	if !o.quiet && !o.json {
		run.Line = func(text string, legs []time.Duration) error {
			return render.PingLine(cmd.OutOrStdout(), text, legs, cli.TextOptions(cmd))
		}
	}
	if o.with.used() {
		run.Far = o.with.far()
	}
	report, err := series.Run(ctx, run)
	if err != nil {
		return fmt.Errorf("ping %s through %s: %w", probe.FlowText(target, req.UDP), name, withRemedy(err, &o.with))
	}
	return o.print(cmd, report)
}

// print prints the summary.
func (o *pingOptions) print(cmd *cobra.Command, r *legs.Report) error {
	if err := cli.PrintReport(cmd, r, o.json, func() error {
		return render.Ping(cmd.OutOrStdout(), r, cli.TextOptions(cmd))
	}); err != nil {
		return err
	}
	if r.Answered == 0 && (r.Size == nil || r.Size.Largest == 0) {
		return statusUnanswered
	}
	return nil
}

// seconds is the value of a flag: a number of seconds as ping(8) takes it, or a time with a unit.
type seconds time.Duration

func (s *seconds) String() string {
	return strconv.FormatFloat(time.Duration(*s).Seconds(), 'f', -1, 64)
}
func (s *seconds) Type() string { return "seconds" }

func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.ParseFloat(text, 64); nerr == nil && n >= 0 && n <= 1e6 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil {
		return errors.New("want seconds")
	}
	*s = seconds(d)
	return nil
}

// request reads the flags.
func (o *pingOptions) request(args []string) (req ping.Request, words []string, err error) {
	words, req.UDP, err = naming.CutUDP(args)
	if err != nil {
		return req, nil, err
	}
	req.Count, req.Interval, req.Wait, req.Data = o.count, time.Duration(o.interval), time.Duration(o.wait), defaultPingData
	if o.size == "auto" {
		req.Sizes = true
	} else if o.size != "" {
		n, err := strconv.Atoi(o.size)
		if err != nil || n < 0 || n > ping.MostData {
			return req, nil, fmt.Errorf("--size %s: want 0 to %d bytes of data, or auto", o.size, ping.MostData)
		}
		req.Data = n
	}
	if o.payload != "" {
		if !req.UDP {
			return req, nil, errors.New("--payload needs a probe by UDP: ADDR:PORT/udp")
		}
		if req.Payload, err = naming.ReadPayload(o.payload); err != nil {
			return req, nil, err
		}
	}
	if o.with.used() {
		if o.with.host != "" && o.with.command != "" || len(o.with.host) > 0 && o.with.host[0] == '-' {
			return req, nil, errors.New("--with and --with-command exclude each other")
		}
		if o.count > mostWith {
			return req, nil, fmt.Errorf("-c %d: with another host at most %d", o.count, mostWith)
		}
		if o.count == 0 && !req.Sizes {
			req.Count = mostWith
		}
	}
	return req, words, nil
}

// check reads what depends on the target.
func (o *pingOptions) check(req *ping.Request) error {
	port := req.Target.Port()
	switch {
	case port != 0 && req.Sizes:
		return errors.New("--size auto needs ICMP echo, which is answered in full: give no port")
	case port != 0 && !req.UDP && o.size != "":
		return errors.New("--size: a connection of TCP begins without data: give no size, or no port")
	case req.UDP && o.size != "" && o.payload != "":
		return errors.New("--size and --payload exclude each other")
	case req.UDP && o.size != "":
		req.Payload = make([]byte, req.Data)
	case req.UDP:
		req.Payload = explain.Payload(port, req.Payload)
	}
	return req.Check()
}
