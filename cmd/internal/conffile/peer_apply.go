package conffile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/running"
)

// What has become of a tunnel whose file was changed, as JSON has it.
const (
	appliedReloaded = "reloaded"    // it has taken it over
	appliedLater    = "not-running" // nothing runs that could
	appliedByHand   = "by-hand"     // somebody else must tell it
)

// change is one of a peerFile: it is done and, if anything fails then, undone.
type change struct {
	file *peerFile
	edit *config.Edit
	undo []func() error // in reverse, besides the file's own
}

// do writes the file and has the tunnel take it over, if there is one; then it does
// show, the last thing that can fail. It is all or nothing.
func (c *change) do(cmd *cobra.Command, show func(applied string) error) error {
	if err := c.edit.Write(); err != nil {
		return errors.Join(err, c.back())
	}
	// From here on it goes on whatever the user types: half of it is none.
	ctx := context.WithoutCancel(cmd.Context())
	applied, notes, err := c.file.apply(ctx, cmd.ErrOrStderr())
	if err != nil {
		err = fmt.Errorf("%s could not apply the change: %w", c.file.name, err)
		return cli.WithHint(errors.Join(err, c.edit.Restore(), c.back()), c.file.path+" is as it was before")
	}
	if err := show(applied); err != nil {
		errs := []error{err, c.edit.Restore(), c.back()}
		if applied == appliedReloaded {
			_, _, aerr := c.file.apply(ctx, io.Discard)
			errs = append(errs, aerr)
		}
		return cli.WithHint(errors.Join(errs...), c.file.path+" is as it was before")
	}
	for _, n := range notes {
		if err := cli.Warn(cmd, "%s", n); err != nil {
			return nil // the change is done, whether the note can be shown or not
		}
	}
	return nil
}

func (c *change) back() error {
	var errs []error
	for i := len(c.undo) - 1; i >= 0; i-- {
		errs = append(errs, c.undo[i]())
	}
	return errors.Join(errs...)
}

// apply has the tunnel that runs from the file take it over. out gets what that changes. The
// notes say what is left for the user to do.
func (f *peerFile) apply(ctx context.Context, out io.Writer) (applied string, notes []string, err error) {
	k, _ := running.Find(f.name) // what cannot be seen does not run from the file
	switch {
	case naming.IsOnlyKernels(f.name), k == nil && naming.ServedElsewhere(f.name):
		return appliedByHand, f.byHand(), nil
	case k == nil:
		return appliedLater, []string{fmt.Sprintf("%s is not up; it has the change when it comes up: wgnode up %s", f.name, f.word())}, nil
	case k.State == running.StateDead:
		return appliedLater, []string{naming.Epitaph(k)}, nil
	case k.State != running.StateRunning:
		return appliedByHand, []string{fmt.Sprintf("%s cannot be asked now; later: wgnode reload %s", f.name, f.name)}, nil
	}
	c, err := running.Dial(f.name)
	if err != nil {
		return "", nil, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return "", nil, err
	}
	switch status.Config {
	case f.read.Path:
		return appliedReloaded, nil, c.Reload(ctx, "", out)
	case "": // wg-quick has made a device of wgnode's
		return appliedByHand, f.byHand(), nil
	default:
		return appliedByHand, []string{fmt.Sprintf("%s runs from another file, %s; to run it from this one: wgnode reload %s",
			f.name, status.Config, config.ShellQuote(f.path))}, nil
	}
}

// byHand is what to type where another program's interface is up.
func (f *peerFile) byHand() []string {
	strip := "wgnode strip " + f.word()
	if filepath.Ext(f.path) == ".conf" {
		strip = "wg-quick strip " + f.word()
	}
	notes := []string{fmt.Sprintf("%s is another program's interface; to apply the change, in bash as root: wg syncconf %s <(%s)",
		f.name, f.name, strip)}
	if f.read.Interface.SaveConfig {
		notes = append(notes, fmt.Sprintf("do so before it goes down: SaveConfig in %s has wg-quick write over the file then", f.path))
	}
	return notes
}
