package inspect

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/diagnosis"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/node/web"
	"github.com/wgnode/wgnode/probe/recording"
)

// webOptions are the flags of web.
type webOptions struct {
	files         []string
	listen, link  string
	remote, allow bool
	open          bool
}

func NewWebCommand() *cobra.Command {
	var o webOptions
	cmd := &cobra.Command{
		Use:   "web [CONF|NAME]...",
		Short: "Show tunnels, flows and recordings as a page in a browser",
		Long: `Web serves a page to a browser on this host, and prints the link that opens it.
It shows what "wgnode status" shows, live; each peer with its verdict, the ladder and
what to do; flows as packets pass; and it explains and traces destinations. It shows
recordings and bundles, those of -r and those that are dropped onto the page, and
merges them. Without NAME it shows all tunnels of this host.

The link has a secret in it, which the browser exchanges for a cookie. Anyone who has
the link sees what you see. It is good until the command ends. The page loads
nothing from anywhere else.

It changes nothing. Explain and trace send a probe, as the commands do, when they are
asked to. With --allow-changes the page offers to apply the fix of an explanation, as
"wgnode explain --fix" does, and to reload a node, each after a confirmation.

It listens at 127.0.0.1:7420, or at a free port if that is taken. To look from another
machine forward it by ssh: ssh -L 7420:127.0.0.1:7420 HOST. --listen unix:/PATH is a
socket for this user alone, and ssh forwards that, too. --listen with an address that
others can reach needs --allow-remote. The page is then served without encryption:
every host on the path can read it, and read and use the link.`,
		Example: `  wgnode web
  wgnode web wg0 --open
  wgnode web -r alice.pcapng -r hub.pcapng
  wgnode web --listen unix:/run/wgnode/web.sock`,
		Args:              cobra.ArbitraryArgs,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
		ValidArgsFunction: completeTunnels,
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "read", "r", nil, "also show the recording or bundle `FILE`")
	_ = cmd.MarkFlagFilename("read", "pcapng", "gz") // fails only for a flag that is not there
	f.StringVar(&o.listen, "listen", "", "serve at `ADDR`: 127.0.0.1:PORT, [::1]:PORT or unix:/PATH (default 127.0.0.1:7420)")
	f.BoolVar(&o.remote, "allow-remote", false, "listen also at an address that other hosts can reach, without encryption")
	f.BoolVar(&o.allow, "allow-changes", false, "let the page apply fixes and reload nodes")
	f.StringVar(&o.link, "link", "", "write the link into `FILE`, for this user alone, in place of printing it")
	f.BoolVar(&o.open, "open", false, "open the page by xdg-open")
	return cmd
}

// completeTunnels offers the names of what can be looked at that are not there yet.
func completeTunnels(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	names, directive := naming.CompleteNodes(cmd, nil, toComplete)
	return naming.Without(names, args), directive
}

func (o *webOptions) run(cmd *cobra.Command, args []string) error {
	var names []string
	for i := range args {
		name, err := naming.NodeName(cmd, args[i:i+1])
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	if len(names) > 0 || len(o.files) == 0 { // recordings need no tunnel
		if _, err := toLookAt(cmd, names); err != nil {
			return err
		}
	}
	for _, path := range o.files {
		if err := checkRecording(path); err != nil {
			return cli.WithHint(err, cli.RecordingHints(err)...)
		}
	}
	if o.allow {
		if err := cli.BecomeRoot(cmd); err != nil {
			return fmt.Errorf("--allow-changes: %w", err)
		}
	}
	if o.link == "" && cli.IsJournal(cmd.OutOrStdout()) {
		return cli.WithHint(errors.New("standard output is the system's journal, and the link is a secret"),
			"--link FILE writes it into a file for this user alone")
	}
	l, err := web.Listen(o.listen, o.remote)
	if errors.Is(err, web.ErrRemote) {
		return cli.WithHint(err, "to look from another machine: ssh -L 7420:127.0.0.1:7420 HOST, and open the link there",
			"--allow-remote serves it all the same, without encryption: every host on the path can read the page, and use the link")
	}
	if err != nil {
		return err
	}
	return o.serve(cmd, names, l)
}

func (o *webOptions) serve(cmd *cobra.Command, names []string, l net.Listener) error {
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	opt := web.Options{Names: names, Recordings: o.files, Remote: o.remote,
		Host:   func(ctx context.Context) web.Host { return newHost(ctx, cmd) },
		Target: webTarget, Logger: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))}
	if o.allow {
		opt.Changes = &web.Changes{Fixes: diagnosis.Fixes()}
	}
	s := web.New(opt)
	err := o.tell(cmd, s.Link(l), l, names)
	if err != nil {
		return errors.Join(err, l.Close(), s.Close())
	}
	if o.open {
		done, err := openBrowser(ctx, s.Link(l))
		defer done()
		if err != nil {
			if err := cli.Warn(cmd, "note: the page could not be opened: %v", err); err != nil {
				return errors.Join(err, l.Close(), s.Close())
			}
		}
	}
	return errors.Join(s.Serve(ctx, l), s.Close())
}

// tell says where the page is.
func (o *webOptions) tell(cmd *cobra.Command, link string, l net.Listener, names []string) error {
	what := "the tunnels of this host"
	if len(names) > 0 {
		what = strings.Join(names, ", ")
	}
	if err := cli.Warn(cmd, "serving %s at %s; Ctrl-C ends", what, l.Addr()); err != nil {
		return err
	}
	if l.Addr().Network() == "unix" {
		if err := cli.Warn(cmd, "to open the link on another machine: ssh -L %d:%s HOST", web.DefaultPort, l.Addr()); err != nil {
			return err
		}
	}
	if o.link != "" {
		return safefile.Write(o.link, safefile.Options{Mode: 0o600}, func(w io.Writer) error {
			_, err := io.WriteString(w, link+"\n")
			return err
		})
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), link); err != nil {
		return fmt.Errorf("print the link: %w", err)
	}
	return nil
}

// checkRecording makes sure that a file can be shown, before the page is served.
func checkRecording(path string) error {
	f, err := recording.Open(path)
	if errors.Is(err, recording.ErrNotInBundle) {
		return nil // it has what doctor found
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// webTarget reads a destination as explain does.
func webTarget(ctx context.Context, tunnel, dest string) (netip.AddrPort, bool, error) {
	words, udp, err := naming.CutUDP([]string{strings.TrimSpace(dest)})
	if err != nil {
		return netip.AddrPort{}, false, err
	}
	if target, literal := naming.LiteralTarget(words[0]); literal {
		return target, udp, nil
	}
	target, found, err := naming.PeerTarget(ctx, tunnel, words[0])
	if !found && err == nil {
		target, err = naming.ParseTarget(ctx, words[0])
	}
	return target, udp, err
}

// openBrowser opens a link. Command lines can be read by everybody on this host, so that the browser
// is given a file, which leads on. done removes that.
func openBrowser(ctx context.Context, link string) (done func(), err error) {
	dir, err := os.MkdirTemp("", "wgnode-web-")
	if err != nil {
		return func() {}, err
	}
	done = func() { _ = os.RemoveAll(dir) } // a file that is of no use any more
	path := filepath.Join(dir, "open.html")
	page := `<!doctype html><meta name="referrer" content="no-referrer">` +
		`<meta http-equiv="refresh" content="0;url=` + html.EscapeString(link) + `">`
	if err := safefile.Write(path, safefile.Options{Mode: 0o600}, func(w io.Writer) error {
		_, err := io.WriteString(w, page)
		return err
	}); err != nil {
		return done, err
	}
	return done, exec.CommandContext(ctx, "xdg-open", path).Run()
}
