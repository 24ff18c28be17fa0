package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/diagnosis"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/cmd/internal/traffic"
	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/peernames"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/harmless"
	"github.com/wgnode/wgnode/probe/redact"
)

type bundleOptions struct {
	file            string
	anonymize, json bool
	length          time.Duration
	explain         string
	version         string // of this program
}

// NewBundleCommand returns the command; version is this program's, for the report.
func NewBundleCommand(version string) *cobra.Command {
	o := bundleOptions{version: version}
	cmd := &cobra.Command{
		Use:   "bundle [CONF|NAME]",
		Short: "Collect what a bug report needs into one file, without secrets",
		Long: `Bundle writes one .tar.gz about a tunnel and its host: the verdicts of doctor, the
state of the node and its device, the configuration, addresses, routes, rules,
firewall rules, kernel parameters, name servers, versions, the end of the log, and the
last minutes of the flight recorder as headers of packets. It lists its parts. If a
part is not available, the list says why, and the others are still written. So bundle
also works for a node that has died, for an interface of another program, and for a
user who may not see everything. It sends nothing and changes nothing on the host.

The bundle contains no secrets. Each is replaced by a hash, so that equal secrets can
be recognized. The hash uses a random key that is thrown away: a password cannot be
found by guessing, and hashes of two bundles cannot be compared. Commands of hooks,
comments of firewall rules and log lines are other people's text and may contain
secrets that wgnode does not know: of hooks only words remain that are known to be
harmless; comments are replaced by hashes; in logs, what looks like a key, a password,
a token or the path of a URL is replaced. Look through the log before you give the file
to a stranger.

With --anonymize, addresses, names, host names and keys are replaced, too, the same by
the same in all files. Addresses keep their common prefixes, so that routes and
AllowedIPs still fit, and private ones stay private. Packets are reduced to what
their events contain.

With --for it also records packets for that long, with what the kernel does with them.
With --explain it also sends a probe to DEST and adds what "wgnode explain" says.

"explain", "doctor", "watch" and "merge" read a bundle wherever they read a recording.
If the bundle contains doctor's result, or an explanation of the same DEST, they print
that.`,
		Example: `  wgnode bundle wg0
  wgnode bundle wg0 -w report.tar.gz --anonymize
  wgnode bundle wg0 --explain 192.168.200.22:80
  ssh root@hub wgnode bundle wg0 -w - > hub.tar.gz
  wgnode doctor -r report.tar.gz
  wgnode explain -r report.tar.gz 192.168.200.22:80
  wgnode merge report.tar.gz hub.tar.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.length > time.Hour {
				return cli.NewUsageError(cmd, errors.New("--for: want a time of at most an hour, such as 10s"))
			}
			return o.run(cmd, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return naming.CompleteKnown(args, func(*running.Known) bool { return true })
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "write", "w", "", "write to `FILE` (default wgnode-NAME-TIME.tar.gz); \"-\" is standard output")
	f.BoolVar(&o.anonymize, "anonymize", false, "replace addresses, names, host names and keys by others")
	f.DurationVar(&o.length, "for", 0, "also record what passes for this long")
	f.StringVar(&o.explain, "explain", "", "also send a probe to `DEST[:PORT]`, and add what becomes of it")
	f.BoolVar(&o.json, "json", false, "print the list of its parts as one JSON object")
	_ = cmd.MarkFlagFilename("write", "tar.gz") // fails only for a flag that is not there
	return cmd
}

func (o *bundleOptions) run(cmd *cobra.Command, args []string) error {
	if o.file == "-" && cli.IsTerminal(cmd.OutOrStdout()) {
		return cli.NewUsageError(cmd, errors.New("-w -: a bundle is not for a terminal: lead it into a file"))
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	s, err := o.subject(ctx, cmd, args)
	if err != nil {
		return err
	}
	b := bundle.Options{Secrets: redact.NewSecrets(), Links: linkNames(),
		Index: bundle.Index{Made: time.Now().UTC(), Version: strings.SplitN(s.Version, "\n", 2)[0], Interface: s.Name, Root: os.Geteuid() == 0}}
	b.Index.Host, _ = os.Hostname() // a host without a name is none the less one
	s.Hide = b.Secrets.Own
	bundle.Learn(b.Secrets, s.Name)
	b.Sources = bundle.Sources(s)
	if o.anonymize {
		b.Names = redact.NewNames()
		bundle.Meet(ctx, b.Names, s)
	}
	told, done := tellParts(cmd, len(b.Sources))
	b.Told = told
	var index *bundle.Index
	write := func(w io.Writer) (err error) {
		index, err = bundle.Write(ctx, w, b)
		return err
	}
	if o.file == "-" {
		err = write(cmd.OutOrStdout())
	} else {
		if o.file == "" {
			o.file = fmt.Sprintf("wgnode-%s-%s.tar.gz", s.Name, b.Index.Made.Format("20060102-150405"))
		}
		err = safefile.Write(o.file, safefile.Options{Mode: 0o600, New: true}, write)
	}
	if done(); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return cli.WithHint(err, "another name, or remove it first")
		}
		return err
	}
	return o.list(cmd, index)
}

// subject finds out what the bundle is about. That there is no node is no error.
func (o *bundleOptions) subject(ctx context.Context, cmd *cobra.Command, args []string) (*bundle.Subject, error) {
	name, err := o.name(cmd, args)
	if err != nil {
		return nil, err
	}
	s := &bundle.Subject{Name: name, Version: o.version, For: o.length}
	s.Client, s.Refused = naming.DialNode(cmd, name)
	if s.Refused != nil {
		s.Client = nil
	}
	s.Known, _ = running.Find(name) // what could not be looked at is no reason to stop
	if s.Client != nil {
		if status, err := s.Client.Status(ctx); err == nil {
			s.Config = status.Config
		}
	}
	if began, err := running.Began(); err == nil && s.Config == "" {
		if i := slices.IndexFunc(began, func(b running.Beginning) bool { return b.Name == name }); i >= 0 {
			s.Config = began[i].Config
		}
	}
	if _, file := peernames.Find(name); s.Config == "" && s.Client == nil && file != "" {
		s.Config = file
	}
	if len(args) > 0 && s.Config == "" { // of a tunnel that does not come up there is that
		if it, err := naming.ResolveWord(args[0]); err == nil && it.File != "" && cli.FileExists(it.File) {
			s.Config = it.File
		}
	}
	if path, err := config.Find(name); s.Config == "" && err == nil {
		s.Config = path
	}
	if s.Refused != nil && s.Known == nil && s.Config == "" && !naming.Present(name) {
		return nil, s.Refused
	}
	s.Doctor = func(context.Context) (*diagnose.DoctorReport, error) {
		return diagnosis.RunDoctor(cmd, []string{name}, explain.DoctorRequest{})
	}
	if o.explain == "" {
		return s, nil
	}
	words, udp, err := naming.CutUDP([]string{name, o.explain})
	if err != nil {
		return nil, cli.NewUsageError(cmd, fmt.Errorf("--explain: %w", err))
	}
	_, target, err := naming.NodeAndTarget(cmd, words)
	if err != nil {
		return nil, err
	}
	s.Explain = func(ctx context.Context) (*diagnose.Report, error) {
		if s.Client == nil {
			return nil, s.Refused
		}
		return s.Client.Explain(ctx, explain.Request{Target: target, UDP: udp})
	}
	return s, nil
}

// name is the tunnel that is meant: without a word the only one that there is, dead or alive.
func (o *bundleOptions) name(cmd *cobra.Command, args []string) (string, error) {
	all, unseen := running.List()
	if len(args) == 0 && len(all) == 1 {
		return all[0].Name, nil
	}
	if len(args) == 0 {
		return naming.PickNode(cmd, all, unseen)
	}
	return naming.NodeName(cmd, args)
}

// linkNames are those of this host's interfaces.
func linkNames() (names []string) {
	links, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for i := range links {
		names = append(names, links[i].Name)
	}
	return names
}

// tellParts says on a terminal which part has been gathered.
func tellParts(cmd *cobra.Command, all int) (told func(bundle.Part), done func()) {
	w, n := cmd.ErrOrStderr(), 0
	if !cli.IsTerminal(w) {
		return nil, func() {}
	}
	return func(p bundle.Part) {
			n++
			_, _ = fmt.Fprintf(w, "\r%d of %d: %s\x1b[K", n, all, p.What) // a terminal that has gone needs no word
		}, func() {
			_, _ = io.WriteString(w, "\r\x1b[K")
		}
}

// list says what is in the bundle.
func (o *bundleOptions) list(cmd *cobra.Command, index *bundle.Index) error {
	out := cmd.OutOrStdout()
	if o.file == "-" {
		out = cmd.ErrOrStderr()
	}
	if o.json && o.file != "-" {
		return cli.PrintReport(cmd, index, true, nil)
	}
	var b strings.Builder
	for i := range index.Parts {
		p := &index.Parts[i]
		size := "-"
		if p.Size > 0 {
			size = traffic.SizeText(int64(p.Size))
		}
		fmt.Fprintf(&b, "%-17s %9s  %s", p.Name, size, p.What)
		if p.Cut {
			b.WriteString(" (not all of it: there was more)")
		}
		b.WriteByte('\n')
		if p.Missing != "" {
			why := strings.Join(strings.Fields(p.Missing), " ")
			fmt.Fprintf(&b, "%29s%s\n", "", harmless.Line(why[:min(len(why), 300)]))
		}
	}
	if o.file != "-" {
		info, err := os.Stat(o.file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s: %s", o.file, traffic.SizeText(info.Size()))
		if index.Anonymized {
			b.WriteString(", with other addresses, names and keys")
		}
		b.WriteByte('\n')
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("list what is in the bundle: %w", err)
	}
	return nil
}
