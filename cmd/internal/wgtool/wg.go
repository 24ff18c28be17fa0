package wgtool

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// What the commands that wg(8) has too share: its words, its exit status, and
// the reasons that it finds.

// failLikeWg prints wg's message. The hint, which wg does not have, is for
// people only: a program that reads standard error gets what wg would say.
func failLikeWg(errOut io.Writer, message, hint string) error {
	if hint != "" && cli.IsTerminal(errOut) {
		message += "\nwgnode: hint: " + hint
	}
	if _, err := fmt.Fprintln(errOut, message); err != nil {
		return err
	}
	return cli.ExitStatus(cli.StatusFailed)
}

// helpLikeWg is for usage that was asked for: it is no failure.
func helpLikeWg(err error) error {
	if errors.Is(err, cli.ExitStatus(cli.StatusFailed)) {
		return nil
	}
	return err
}

// completeDevice offers the running devices as first argument, and files after
// that.
func completeDevice(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, err := uapi.Interfaces()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// applyChange changes the device, with the same reasons of a failure.
func applyChange(name string, c *uapi.Change) syscall.Errno {
	if errno := naming.Served(name); errno != 0 {
		return errno
	}
	return naming.ErrnoOf(c.Apply(name))
}

func missingHint(name string) string {
	k, err := running.Find(name)
	switch {
	case err == nil && k != nil && k.State == running.StateDead:
		return naming.Epitaph(k)
	case err == nil && k != nil && k.State == running.StateForeign:
		return fmt.Sprintf("%s belongs to %s: only that user can query it", name, cmp.Or(k.User, "another user"))
	case os.Geteuid() != 0:
		return fmt.Sprintf("only root may ask about %s", name)
	}
	names, err := uapi.Interfaces()
	if err != nil || len(names) == 0 {
		return "no userspace WireGuard device is running"
	}
	return "the running devices are " + strings.Join(names, ", ")
}

// strerror words errno as C does: Go's words are the same, but for the first
// letter.
func strerror(errno syscall.Errno) string {
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// warnOfOthers says on w if others than root and this user can change a file that
// one of wg(8)'s commands reads. wg takes it, and so does wgnode; nothing in it is
// a command.
func warnOfOthers(w io.Writer, path string) {
	f, err := safefile.Open(path, safefile.Mine())
	if err == nil {
		_ = f.Close() // nothing was written
	}
	if doubt, ok := errors.AsType[*safefile.Untrusted](err); ok {
		// What it warns of is done all the same.
		_, _ = fmt.Fprintf(w, "Warning: `%s' can be changed by others: %v\n", path, doubt)
	}
}
