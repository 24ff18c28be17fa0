package diagnosis

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/repair"
)

// undoOptions are the flags of undo.
type undoOptions struct {
	list, all, yes bool
	id             int
	with           withOptions
}

func NewUndoCommand() *cobra.Command {
	var o undoOptions
	cmd := &cobra.Command{
		Use:   "undo [CONF|NAME]",
		Short: "Undo what explain --fix or doctor --fix has applied",
		Long: `Undo reverts the latest fix that "wgnode explain --fix" or "wgnode doctor --fix" has
applied on this host, after a question; with a name, the latest for that tunnel. --list
shows all of them, the newest first, and changes nothing.

What another program has changed since is left alone, and reported. The list of fixes is
lost when the host restarts: changes of the kernel's state are gone then, and changes
of files stay.`,
		Example: "  wgnode undo\n  wgnode undo --list\n  wgnode undo wg0 --all --yes",
		RunE:    o.run,

		ValidArgsFunction: naming.CompleteNodes,
	}
	cmd.Flags().BoolVar(&o.list, "list", false, "show what was applied, and change nothing")
	cmd.Flags().BoolVar(&o.all, "all", false, "undo all of them, the newest first")
	cmd.Flags().IntVar(&o.id, "id", 0, "take back the fix of this `NUMBER`, which --list shows")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	cmd.Flags().StringVar(&o.with.host, "with", "", "do it on another host, by ssh to `USER@HOST`")
	cmd.Flags().StringVar(&o.with.command, "with-command", "", "the same, by a shell `COMMAND` that runs wgnode there")
	return cmd
}

func (o *undoOptions) run(cmd *cobra.Command, args []string) error {
	if o.with.used() {
		return o.there(cmd, args)
	}
	if !o.list && !o.yes && !canAsk(cmd) {
		return cli.WithHint(errors.New("undo asks before it changes anything, and standard input is not a terminal"),
			"add --yes to undo without a question")
	}
	if err := cli.BecomeRoot(cmd); err != nil {
		return err
	}
	name := ""
	if len(args) > 0 {
		var err error
		if name, err = naming.NodeName(cmd, args); err != nil {
			return err
		}
	}
	all, err := Fixes().List()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r repair.Record) bool {
		return name != "" && r.Interface != name || o.id != 0 && r.ID != o.id
	})
	say := sayer(cmd)
	if len(all) == 0 {
		if o.id != 0 {
			return fmt.Errorf("there is no fix %d to undo", o.id)
		}
		say("nothing that was applied is left to undo")
		return nil
	}
	rest := 0
	if !o.list && !o.all {
		all, rest = all[:1], len(all)-1
	}
	if err := listFixes(cmd, all); err != nil || o.list {
		return err
	}
	if !o.yes {
		if yes, err := ask(cmd, "Undo?"); err != nil || !yes {
			return err
		}
	}
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	var errs []error
	for _, r := range all {
		errs = append(errs, Fixes().Undo(ctx, r, func(line string) { say("%s", line) }))
	}
	if rest > 0 {
		say("%d earlier fix(es) are left: wgnode undo --list", rest)
	}
	return errors.Join(errs...)
}

// listFixes prints what was applied.
func listFixes(cmd *cobra.Command, all []repair.Record) error {
	for i := range all {
		r := &all[i]
		line := fmt.Sprintf("%d  %s  %s  %s", r.ID, r.Time.Format(time.DateTime), r.Interface, r.For)
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
			return err
		}
		for j := range r.Deeds {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "   %s\n", r.Deeds[j].Step); err != nil {
				return err
			}
		}
	}
	return nil
}

// there runs undo on another host, whose words are passed on.
func (o *undoOptions) there(cmd *cobra.Command, args []string) error {
	words := append([]string{"undo"}, args...)
	for _, f := range []struct {
		set  bool
		name string
	}{{o.list, "--list"}, {o.all, "--all"}, {o.yes, "--yes"}} {
		if f.set {
			words = append(words, f.name)
		}
	}
	if o.id != 0 {
		words = append(words, "--id", fmt.Sprint(o.id))
	}
	line := o.with.wgnode(words...)
	c := exec.CommandContext(cmd.Context(), line[0], line[1:]...)
	c.Stdin, c.Stdout, c.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if err := c.Run(); err != nil {
		return fmt.Errorf("undo on %s: %w", o.with.there(), err)
	}
	return nil
}
