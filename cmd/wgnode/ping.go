package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/ping"
)

// The exit statuses of ping are those of ping(8).
const (
	statusUnanswered = exitStatus(1)
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

func newPingCommand() *cobra.Command {
	o := pingOptions{interval: seconds(time.Second), wait: seconds(defaultPingWait)}
	cmd := &cobra.Command{
		Use:   "ping [CONF|NAME] PEER|ADDR[:PORT[/udp]]",
		Short: "Measure loss and times of each leg of a way through a tunnel",
		Long: `Ping sends probes through a tunnel and measures loss and round trip, as ping does,
and for each leg of the way: this host's stack (from the socket to A1, where packets enter the
tunnel), the tunnel (A1 to A4, where they leave encrypted), the wire and the far host (A4 to A5,
where the encrypted answer comes), and back to the socket. A probe that is not answered is
counted as lost on the leg behind the last checkpoint that it passed. NAME can be omitted
if only one node runs. PEER is a peer's name or public key, and stands for the first address of
the peer's own in its AllowedIPs.

It sends ICMP echo requests, or with a port connects by TCP, or with /udp behind the port sends
datagrams, each from a port of its own: a question of DNS to port 53, one of NTP to port 123,
else some text, or what --payload says. That nobody listens is an answer, too. Ctrl-C ends it
and prints the summary.

Every answer is bound to its own probe, by identifier, sequence number and content, or by the
port. One that comes later than -W is counted as late, and its probe as lost; further
answers are counted as duplicates. Of a connection that came about only after the kernel had sent
its first segment again, the probe counts as lost.

The jitter is the standard deviation of the times, as the mdev of ping.

--size auto first finds the largest packet that is answered, of up to the MTU of the interface,
by ICMP echo requests that nobody may fragment, and then sends probes of that size. It says
which sizes were answered and which were not. The answer is as large as the request, so a
size that is not answered may have been too large either way.

With --with USER@HOST it also hears the other end of the tunnel, as explain does, and tells the
way there and back apart: to B3, where the other host receives, from B4 to B7 behind it, and from
B8 back. The clocks of two hosts are known only as far as the messages between them bound them:
what that leaves open stands beside these two legs.

A node without an interface sends the probes through its own stack. Else they are this
command's, and ICMP echo needs the right to open raw sockets, or to be in ping_group_range.

Exit status: 0 some probe was answered, 1 none was, 2 it could not be tried, or
the command line is wrong.`,
		Example: `  wgnode ping bob
  wgnode ping wg0 10.0.0.2 -c 10 -i 0.2 -q
  wgnode ping wg0 192.168.200.22:443
  wgnode ping wg0 10.0.0.1:53/udp
  wgnode ping wg0 10.0.0.2 --size auto
  wgnode ping wg0 10.0.0.2 -c 20 --with root@hub
  wgnode ping wg0 10.0.0.2 -c 5 --json | jq .loss`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.run(cmd, args)
			var found exitStatus
			if err == nil || errors.As(err, &found) {
				return err
			}
			return &statusError{err, statusNoPing}
		},
		ValidArgsFunction: completeExplain,
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
	words, req.UDP, err = cutUDP(args)
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
		if req.Payload, err = readPayload(o.payload); err != nil {
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
