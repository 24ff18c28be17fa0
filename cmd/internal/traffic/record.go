package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/host/drops"
	"github.com/wgnode/wgnode/probe/recording"
)

// smallestRecording is the least that --max takes: the head of a file, and some
// packets.
const smallestRecording = 64 << 10

// wholePast is further back than any flight recorder holds.
const wholePast = time.Duration(math.MaxInt64 / 2)

type recordOptions struct {
	file     string
	length   time.Duration
	untilEOF bool
	max      string
	since    time.Duration
	snaplen  int
	out      recording.OutputOptions
	req      control.RecordRequest
}

func NewRecordCommand() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record [CONF|NAME] -w FILE [FILTER]...",
		Short: "Record the packets of a tunnel in a file that Wireshark opens",
		Long: `Record writes the packets of a tunnel into a pcapng file: the encrypted ones and
those inside the tunnel as two interfaces. Each packet has its tags as a comment,
and the whole event for wgnode's own use. The recording begins with the contents
of the flight recorder. Ctrl-C ends it and completes the file; until then it is
called FILE.part, and can be read, too. "-w -" writes to standard output.

Handshake messages are kept whole, of other packets the headers; --snaplen also
keeps the first N bytes of their contents. Packets from before the command began,
and all of a device of the kernel's, hold what their events know. Events that came too fast to be written are counted,
in the file and at the end.

With --keys the file also holds the keys that decrypt its packets: the node's
private key, preshared keys and session keys. The node must have been brought up
with --session-keys. Wireshark can then decrypt the packets, if the recording has
their handshake and was made with --snaplen 0. Anyone who has the file can read
the sessions and impersonate this node.

As root it also records what the kernel of this host drops of the tunnel's
packets, inside of it and encrypted, each at its time with the kernel's reason
and place, and notes at the end what netfilter did with encrypted packets, and
with flows whose requests were repeated in vain: "wgnode merge" judges by that.
Drops that happen to connections that work, such as those of copies, are left out. --no-kernel leaves out all of it.

FILTER is that of "wgnode watch", and may name the kernel's reasons. "watch", "explain" and "doctor" read a recording
with -r FILE.`,
		Example: `  wgnode record wg0 -w wg0.pcapng
  wgnode record wg0 -w wg0.pcapng --for 30s peer alice
  wgnode record wg0 -w wg0.pcapng --max 100M --files 10
  ssh root@hub wgnode record wg0 -w - --for 10s > hub.pcapng`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file == "" {
				return cli.NewUsageError(cmd, errors.New("missing -w FILE: the file to write"))
			}
			name, words, err := splitWatch(cmd, args)
			if err != nil {
				return err
			}
			o.req.Filter = words
			if err := o.check(cmd); err != nil {
				return cli.NewUsageError(cmd, err)
			}
			return runRecord(cmd, name, &o)
		},
		ValidArgsFunction: completeWatch,
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "write", "w", "", "write to `FILE`; \"-\" is standard output")
	f.DurationVar(&o.length, "for", 0, "end after this long")
	f.BoolVar(&o.untilEOF, "until-eof", false, "end when standard input ends, so that another host can end it")
	f.StringVar(&o.max, "max", "", "end when the file has this `SIZE`, such as 100M; with --files begin the next")
	f.IntVar(&o.out.Files, "files", 0, "keep the latest `N` files, FILE.00001.pcapng and so on")
	f.DurationVar(&o.since, "since", 0, "begin this far back (default all that the flight recorder holds)")
	_ = f.SetAnnotation("since", cli.ZeroTime, []string{"yes"}) // fails only for a flag that is not there
	f.IntVar(&o.snaplen, "snaplen", 0, "keep the first `N` bytes of each packet, 0 for all (default headers only)")
	f.BoolVar(&o.req.Keys, "keys", false, "add the keys that decrypt the packets; the file is then a secret")
	f.BoolVar(&o.req.NoKernel, "no-kernel", false, "do not record what the kernel drops, nor note what it does with packets (merge uses it)")
	f.BoolVar(&o.out.Force, "force", false, "overwrite existing files")
	_ = cmd.MarkFlagFilename("write", "pcapng") // fails only for a flag that is not there
	return cmd
}

// check turns the flags into what is asked for.
func (o *recordOptions) check(cmd *cobra.Command) error {
	if err := checkBoth(o.req.Filter, drops.Reasons); err != nil {
		return err
	}
	o.req.Since, o.req.Snaplen = wholePast, recording.Headers
	if cmd.Flags().Changed("since") {
		o.req.Since = o.since
	}
	if cmd.Flags().Changed("snaplen") {
		o.req.Snaplen = o.snaplen
	}
	if o.max != "" {
		n, err := parseSize(o.max)
		if err != nil {
			return fmt.Errorf("--max: %w", err)
		}
		if n < smallestRecording {
			return fmt.Errorf("--max %s: want at least %dK", o.max, smallestRecording>>10)
		}
		o.out.MaxSize = n
	}
	switch {
	case o.req.Snaplen < recording.Headers || o.req.Snaplen == recording.Headers && o.snaplen != 0:
		return fmt.Errorf("--snaplen %d: want a number of bytes, 0 for all", o.snaplen)
	case o.req.Keys && o.req.Snaplen != 0:
		return errors.New("--keys needs --snaplen 0: what was not kept cannot be decrypted")
	case o.out.Files < 0 || o.out.Files > 99999:
		return fmt.Errorf("--files %d: want 1 to 99999", o.out.Files)
	case o.out.Files > 0 && o.out.MaxSize == 0:
		return errors.New("--files needs --max: the size of each file, such as 100M")
	case o.file == "-" && (o.out.Files > 0 || o.out.MaxSize > 0):
		return errors.New("--max and --files are for files, not for standard output")
	case o.file == "-" && cli.IsTerminal(cmd.OutOrStdout()):
		return errors.New("a terminal cannot show a recording: give a file, or pipe it")
	}
	return nil
}

func runRecord(cmd *cobra.Command, name string, o *recordOptions) error {
	if naming.IsOnlyKernels(name) {
		if err := o.checkKernel(cmd, name); err != nil {
			return err
		}
	}
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return err
	}
	out := recording.To(cmd.OutOrStdout())
	if o.file != "-" {
		if out, err = recording.Create(o.file, o.out); err != nil {
			return explainCreate(err, o)
		}
	}
	if o.req.Keys {
		err := cli.Warn(cmd, "the recording will hold the private key of %s, preshared keys and session keys: guard it as you guard those", name)
		if err != nil {
			return errors.Join(err, out.Abort())
		}
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	if o.untilEOF {
		ctx = endsWith(ctx, cmd.InOrStdin())
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	quiet := showProgress(cmd.ErrOrStderr(), out)
	lost, err := c.Record(ctx, o.req, announced{out, cmd.ErrOrStderr(), func() {
		if o.length > 0 {
			time.AfterFunc(o.length, end)
		}
	}})
	quiet()
	switch {
	case errors.Is(err, recording.ErrFull):
		err = out.Close(lost)
	case err == nil || errors.Is(err, control.ErrEnded) || errors.Is(err, control.ErrNoEnd):
		err = errors.Join(err, out.Close(lost))
	default:
		err = errors.Join(err, out.Abort())
	}
	if err != nil {
		err = fmt.Errorf("record %s: %w", name, err)
		if out.Packets() == 0 {
			return withKeysHint(err)
		}
	}
	return errors.Join(err, summarize(cmd.ErrOrStderr(), out, lost))
}

// checkKernel says what cannot be had of a device of the kernel's.
func (o *recordOptions) checkKernel(cmd *cobra.Command, name string) error {
	if o.req.Keys {
		return cli.WithHint(fmt.Errorf("record %s: it is the kernel's WireGuard, whose keys are not read", name),
			"leave out --keys: what is in each message is recorded without")
	}
	if cmd.Flags().Changed("snaplen") {
		return cli.Warn(cmd, "note: contents of packets are not kept of the kernel's WireGuard, only what the events know of their headers")
	}
	return nil
}

// withKeysHint says how to have keys, if it is for want of them.
func withKeysHint(err error) error {
	if errors.Is(err, control.ErrNoSessionKeys) {
		return cli.WithHint(err, "bring it up with --session-keys; what passed before stays encrypted. In the tunnel itself "+
			"--snaplen 0 shows everything without keys")
	}
	return err
}

// endsWith is ctx until in ends.
func endsWith(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in) // however it ends, that is the end
	}()
	return ctx
}

// announced is an output that says when it has begun: who starts a recording from
// a script waits for that.
type announced struct {
	*recording.Output
	w     io.Writer
	begun func()
}

// Begin is Output's.
func (a announced) Begin(m *recording.Meta) error {
	if err := a.Output.Begin(m); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.w, "wgnode: recording %s\n", m.Interface); err != nil {
		return fmt.Errorf("say that it begins: %w", err)
	}
	a.begun()
	return nil
}

// explainCreate says what to do about a file that is in the way.
func explainCreate(err error, o *recordOptions) error {
	if errors.Is(err, fs.ErrExist) {
		return cli.WithHint(err, "another name, or --force to overwrite it")
	}
	return err
}

// summarize says what was recorded, and what was not.
func summarize(w io.Writer, out *recording.Output, lost recording.Loss) error {
	var b strings.Builder
	fmt.Fprintf(&b, "wgnode: %s, %s", probe.Count(out.Packets(), "packet"), SizeText(out.Bytes()))
	if files := out.Files(); len(files) > 0 {
		fmt.Fprintf(&b, " in %s", files[len(files)-1])
		if n := len(files); n > 1 {
			fmt.Fprintf(&b, " and %d before it", n-1)
		}
	}
	b.WriteByte('\n')
	if lost.Events > 0 {
		fmt.Fprintf(&b, "wgnode: %s\n", eventtext.MissingEvents(lost.Events, "written"))
	}
	if lost.Drops > 0 {
		fmt.Fprintf(&b, "wgnode: %s\n", eventtext.MissingDrops(lost.Drops))
	}
	if lost.Contents > 0 {
		fmt.Fprintf(&b, "wgnode: of %s the content is missing: more came than could be written\n", probe.Count(lost.Contents, "packet"))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("say what was recorded: %w", err)
	}
	return nil
}

// progressEvery is how often a terminal is told how far a recording is.
const progressEvery = 500 * time.Millisecond

// showProgress keeps a line of a terminal up to date until the function that it
// returns is called.
func showProgress(w io.Writer, out *recording.Output) (stop func()) {
	if !cli.IsTerminal(w) {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			// A terminal that has gone is told by the command's own output.
			_, _ = fmt.Fprintf(w, "\r%s, %s, %d lost; Ctrl-C ends \x1b[K", probe.Count(out.Packets(), "packet"), SizeText(out.Bytes()), out.Lost())
			select {
			case <-done:
				_, _ = io.WriteString(w, "\r\x1b[K")
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(done); <-ended }
}

// parseSize reads a number of bytes with a suffix K, M or G, of 1024 each.
func parseSize(s string) (int64, error) {
	digits, shift := s, 0
	for i, suffix := range "KMG" {
		if rest, ok := strings.CutSuffix(strings.ToUpper(s), string(suffix)); ok {
			digits, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q: want a size such as 500K, 100M or 2G", s)
	}
	return n << shift, nil
}

// SizeText writes a number of bytes for people.
func SizeText(n int64) string {
	unit := 0
	f := float64(n)
	for f >= 1000 && unit < 3 {
		f, unit = f/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMG"[unit-1])
}
