package wgtool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

func NewShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME|all|interfaces] [FIELD]",
		Short: "Show devices and their peers, as `wg show` does",
		Long: `Shows userspace WireGuard devices, wgnode's and any other's, with the output,
the messages and the exit status of wg(8)'s show. Without arguments it shows all.

FIELD is one of ` + strings.Join(fieldNames(), ", ") + `;
its output is meant for scripts. With "all", each line begins with the interface.

WG_COLOR_MODE=always|never|auto decides on colors, WG_HIDE_KEYS=never shows
private and preshared keys.`,
		Example: "  wgnode show\n  wgnode show wg0 latest-handshakes",
		// wg's own answer to wrong arguments differs from cobra's.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			s := shower{program: cmd.Root().Name(), out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr()}
			switch {
			case s.program == "wg" && len(args) == 1 && slices.Contains([]string{"-h", "--help", "help"}, args[0]):
				return helpLikeWg(s.usage())
			case len(args) == 1 && args[0] == "help":
				return cmd.Help()
			}
			return s.run(args)
		},
		ValidArgsFunction: completeShow,
	}
}

func completeShow(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		names, err := visible()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return append(names, "all", "interfaces"), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return fieldNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// shower is one run of `show`. Its messages have wg's words, without our
// prefix, so that scripts which read them need no change.
type shower struct {
	program     string
	out, errOut io.Writer
}

func (s *shower) run(args []string) error {
	switch {
	case len(args) > 2:
		return s.usage()
	case len(args) == 0 || args[0] == "all":
		return errors.Join(s.all(args), s.obituaries())
	case args[0] == "interfaces":
		if len(args) > 1 {
			return s.usage()
		}
		return errors.Join(s.interfaces(), s.obituaries())
	}
	name := naming.DeviceOf(args[0])
	status, errno := naming.GetStatus(name)
	if errno != 0 {
		return s.missing(name, errno)
	}
	if len(args) == 1 {
		return s.print(func(b *bytes.Buffer) { newPretty(b, s.out).device(name, status) })
	}
	field, ok := findField(args[1])
	if !ok {
		return s.badField(args[1])
	}
	return s.print(func(b *bytes.Buffer) { field.print(b, "", status) })
}

// visible are the devices that there are, also those that only another user can
// ask: wg(8) names the kernel's to everybody, too.
func visible() ([]string, error) {
	sockets, err := uapi.Sockets()
	var names []string
	for _, s := range sockets {
		if s.Err == nil || errors.Is(s.Err, fs.ErrPermission) {
			names = append(names, s.Name)
		}
	}
	return names, err
}

// obituaries names the nodes that have died and left something on the host: a
// list of those that run does not explain why it is cut off. What could not be
// looked at is not for this list to say.
func (s *shower) obituaries() error {
	all, _ := running.List()
	for i := range all {
		if k := &all[i]; k.State == running.StateDead && len(k.Left) > 0 {
			if _, err := fmt.Fprintf(s.errOut, "wgnode: %s\n", naming.Epitaph(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing says that there is no device of that name, as wg does, and what has
// become of the node where there was one.
func (s *shower) missing(name string, errno syscall.Errno) error {
	message := "Unable to access interface: " + strerror(errno)
	if k, err := running.Find(name); err == nil && k != nil && k.State == running.StateDead {
		return s.fail(message+"\nwgnode: "+naming.Epitaph(k), "")
	}
	return s.fail(message, missingHint(name))
}

// all shows every device. It fails only if there are devices and none can be
// shown; one that cannot is named on standard error.
func (s *shower) all(args []string) error {
	names, err := visible()
	if err != nil {
		return s.failList(err)
	}
	failed := len(names) > 0
	for i, name := range names {
		status, errno := naming.GetStatus(name)
		if errno != 0 {
			if _, err := fmt.Fprintf(s.errOut, "Unable to access interface %s: %s\n", name, strerror(errno)); err != nil {
				return err
			}
			continue
		}
		failed = false
		if len(args) == 2 {
			field, ok := findField(args[1])
			if !ok {
				return s.badField(args[1])
			}
			err = s.print(func(b *bytes.Buffer) { field.print(b, name+"\t", status) })
		} else {
			err = s.print(func(b *bytes.Buffer) {
				newPretty(b, s.out).device(name, status)
				if i < len(names)-1 {
					b.WriteByte('\n')
				}
			})
		}
		if err != nil {
			return err
		}
	}
	if failed {
		return cli.ExitStatus(cli.StatusFailed)
	}
	return nil
}

func (s *shower) interfaces() error {
	names, err := visible()
	if err != nil {
		return s.failList(err)
	}
	if len(names) == 0 {
		return nil
	}
	return s.print(func(b *bytes.Buffer) { fmt.Fprintln(b, strings.Join(names, " ")) })
}

// print writes what fill puts together in one piece, so that a reader never
// sees half a device.
func (s *shower) print(fill func(*bytes.Buffer)) error {
	var b bytes.Buffer
	fill(&b)
	_, err := s.out.Write(b.Bytes())
	return err
}

func (s *shower) usage() error {
	return s.fail("Usage: "+s.program+" show { <interface> | all | interfaces } ["+strings.Join(fieldNames(), " | ")+"]", "")
}

func (s *shower) badField(name string) error {
	if _, err := fmt.Fprintf(s.errOut, "Invalid parameter: `%s'\n", name); err != nil {
		return err
	}
	return s.usage()
}

func (s *shower) failList(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	return s.fail("Unable to list interfaces: "+strerror(errno), "")
}

func (s *shower) fail(message, hint string) error { return failLikeWg(s.errOut, message, hint) }
