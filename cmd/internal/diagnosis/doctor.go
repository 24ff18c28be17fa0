package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/render"
)

func NewDoctorCommand() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use: "doctor [CONF|NAME] [PEER]", Annotations: map[string]string{cli.StatusIsVerdict: "yes"},
		Short: "Check every peer and the configuration",
		Long: `Doctor gives a verdict for each peer of the tunnel NAME, or of all tunnels that run,
and names unknown hosts that attempt a handshake. It sends nothing: it reads the
node's flight recorder, the configuration and the kernel's state. With --for it also
watches the traffic for that long.

Faults come first, with their ladders and what to do. Of four peers and more with the
same verdict one stands for all. PEER, a name, a key or the beginning of one, has all
there is to say of that peer; --verbose has it of every peer.

The state of a peer is
  up           it has a session: a handshake in the last 180 s
  degraded     it is up, and a finding saw its packets fail
  handshaking  it has none, but a handshake began in the last 90 s
  stale        it had a session; the next packet starts another
  never-seen   it had no session since the node started
  failing      the verdict is a fault

Below that are findings: problems of the configuration on this host, whether or
not they hurt now. Only one that saw packets fail affects the exit status.

"wgnode explain CODE" says what a verdict or a finding means and how to fix it.

With -r it judges by the end of a recording, in which NAME is not given and PEER may
be. It has no findings then: a recording does not hold the host's state.

With --fix it then applies the fixes of the faults that it found, as "wgnode explain
--fix" does, and judges again. It sends nothing then either: where only fresh traffic
can show that a fault has gone, say --for, or ask explain.

With --json it prints one object, and of several tunnels an array of them.

Exit status: 0 no fault, 1 the check could not run, 2 a fault was found.`,
		Example: "  wgnode doctor\n  wgnode doctor wg0 office\n  wgnode doctor wg0 --fix\n  wgnode doctor -r wg0.pcapng office",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.file != "" {
				if len(args) > 1 || o.req.For != 0 {
					return cli.NewUsageError(cmd, cli.ErrFileAndName)
				}
				if o.fix.fix {
					return cli.NewUsageError(cmd, errFixRecording)
				}
				return doctorRecording(cmd, o.file, strings.Join(args, ""), o.json, o.verbose)
			}
			if err := o.fix.check(cmd); err != nil {
				return err
			}
			return o.run(cmd, args)
		},
		ValidArgsFunction: completeDoctor,
	}
	cmd.Flags().DurationVar(&o.req.For, "for", 0, "also watch the traffic for this long")
	cli.ReadFlag(cmd, &o.file)
	o.fix.flags(cmd)
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "all there is to say of every peer")
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object, of several tunnels an array")
	return cmd
}

// doctorOptions are what `wgnode doctor` is asked for.
type doctorOptions struct {
	json, verbose bool
	file          string
	req           explain.DoctorRequest
	fix           fixOptions
}

func (o *doctorOptions) run(cmd *cobra.Command, args []string) error {
	tunnel, peer, err := tunnelAndPeer(cmd, args)
	if err != nil {
		return err
	}
	if len(tunnel) == 0 && !o.fix.fix {
		if names, _ := naming.Lookable(); len(names) > 1 { // what could not be looked at is said by the first
			return o.several(cmd, names)
		}
	}
	ask := func() (*diagnose.DoctorReport, error) {
		report, err := RunDoctor(cmd, tunnel, o.req)
		if err != nil {
			return nil, err
		}
		return report, only(report, peer)
	}
	report, err := ask()
	if err != nil {
		return err
	}
	if o.fix.fix && !report.Healthy() && !report.Dead {
		return o.fix.cure(cmd, report, o.json, ask)
	}
	return printDoctor(cmd, report, o.json, o.verbose || peer != "")
}

// several asks all tunnels at once. One that cannot be asked keeps no other from being told of.
func (o *doctorOptions) several(cmd *cobra.Command, names []string) error {
	reports := make([]*diagnose.DoctorReport, len(names))
	errs := make([]error, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() { reports[i], errs[i] = askDoctor(cmd, name, o.req) })
	}
	asked.Wait()
	reports = slices.DeleteFunc(reports, func(r *diagnose.DoctorReport) bool { return r == nil })
	failed := errors.Join(errs...)
	if len(reports) == 0 {
		return failed
	}
	all, unseen := running.List()
	addDead(reports[0], all, unseen)
	status := error(nil)
	if slices.ContainsFunc(reports, func(r *diagnose.DoctorReport) bool { return !r.Healthy() }) {
		status = cli.StatusFault
	}
	err := cli.PrintReport(cmd, reports, o.json, func() error {
		for i, r := range reports {
			if i > 0 {
				if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
					return fmt.Errorf("write report: %w", err)
				}
			}
			if err := writeDoctor(cmd, r, o.verbose); err != nil {
				return err
			}
		}
		return nil
	})
	if err = quietly(err); err != nil {
		return err
	}
	if failed != nil && status != nil {
		cli.Report(cmd.ErrOrStderr(), failed)
		return status
	}
	return errors.Join(failed, status)
}

// quietly takes it for no error that who reads has enough.
func quietly(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// RunDoctor asks the node that args name. What dead nodes have left on the host
// is a finding, and all of the report if the dead one is that which was meant.
func RunDoctor(cmd *cobra.Command, args []string, req explain.DoctorRequest) (*diagnose.DoctorReport, error) {
	all, unseen := running.List()
	var name string
	var err error
	if len(args) > 0 {
		name, err = naming.NodeName(cmd, args)
	} else {
		name, err = naming.PickNode(cmd, all, unseen)
	}
	var report *diagnose.DoctorReport
	if err == nil {
		report, err = askDoctor(cmd, name, req)
	}
	var dead *naming.DeadError
	if errors.As(err, &dead) {
		report, err = &diagnose.DoctorReport{Interface: dead.Node.Name, Dead: true}, nil
	}
	if err != nil {
		return nil, err
	}
	addDead(report, all, unseen)
	return report, nil
}

// askDoctor asks one tunnel.
func askDoctor(cmd *cobra.Command, name string, req explain.DoctorRequest) (*diagnose.DoctorReport, error) {
	c, err := naming.DialNode(cmd, name)
	if err != nil {
		return nil, err
	}
	done := cli.Waiting(cmd, "watching %s for %v", name, req.For)
	report, err := c.Doctor(cmd.Context(), req)
	if done(); err != nil {
		return nil, fmt.Errorf("doctor of %s: %w", name, err)
	}
	return report, nil
}

// addDead adds what dead nodes have left on the host, and what could not be looked at.
func addDead(report *diagnose.DoctorReport, all []running.Known, unseen error) {
	for i := range all {
		if k := &all[i]; k.State == running.StateDead && (len(k.Left) > 0 || k.Name == report.Interface) {
			report.Findings = append(report.Findings, diagnose.Finding{
				Code: diagnose.NodeDied, Summary: naming.Obituary(k), Fix: fix.Steps{fix.Command("wgnode recover %s", k.Name)}})
		}
	}
	if unseen != nil {
		report.Unchecked = append(report.Unchecked, unseen.Error())
	}
}

func printDoctor(cmd *cobra.Command, report *diagnose.DoctorReport, asJSON, whole bool) error {
	err := cli.PrintReport(cmd, report, asJSON, func() error { return writeDoctor(cmd, report, whole) })
	if err = quietly(err); err != nil {
		return err
	}
	if !report.Healthy() {
		return cli.StatusFault
	}
	return nil
}

func writeDoctor(cmd *cobra.Command, report *diagnose.DoctorReport, whole bool) error {
	opt := cli.TextOptions(cmd)
	opt.Whole = whole
	return render.Doctor(cmd.OutOrStdout(), report, opt)
}

// DoctorReport is what doctor says; without --fix it lacks Applied.
type DoctorReport struct {
	*diagnose.DoctorReport
	Applied []applied `json:"applied,omitempty"`
}

// cure prints a report, and applies the fixes of its faults one after the other.
func (o *fixOptions) cure(cmd *cobra.Command, r *diagnose.DoctorReport, asJSON bool, again func() (*diagnose.DoctorReport, error)) error {
	if !asJSON {
		if err := writeDoctor(cmd, r, false); err != nil {
			return err
		}
	}
	whole := DoctorReport{DoctorReport: r}
	last, err := r, error(nil)
	for _, fault := range r.Faults() {
		p := &patient{link: r.Interface, code: string(fault.Code), steps: fault.Fix, certain: fault.Certain}
		p.again = func(context.Context) (*diagnose.Verdict, error) {
			if last, err = again(); err != nil {
				return nil, err
			}
			for _, left := range last.Faults() {
				if left.Code == fault.Code && left.Peer == fault.Peer {
					return &diagnose.Verdict{Code: left.Code, Where: diagnose.WhereHere, Summary: left.Summary}, nil
				}
			}
			return &diagnose.Verdict{Code: diagnose.Healthy, Where: diagnose.WhereHere,
				Summary: "doctor does not find " + string(fault.Code) + " any more"}, nil
		}
		var a *applied
		a, err = o.apply(cmd, p)
		if whole.Applied = append(whole.Applied, *a); err != nil {
			break
		}
	}
	if asJSON {
		err = errors.Join(err, cli.PrintReport(cmd, whole, true, nil))
	}
	if err == nil && !last.Healthy() {
		return cli.StatusFault
	}
	return err
}
