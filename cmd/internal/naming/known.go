package naming

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/kernelnode"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/rundir"
	"github.com/wgnode/wgnode/node/running"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// DialNode connects to a running node. Where there is none of that name, the
// error says what is known of it.
func DialNode(cmd *cobra.Command, name string) (*control.Client, error) {
	c, err := running.Dial(name)
	if stopped := WhileStopped(err); stopped != nil {
		return nil, stopped
	}
	if errors.Is(err, rundir.ErrNotRunning) && kernelnode.IsDevice(name) {
		return dialKernel(cmd, name)
	}
	k, kerr := running.Find(name) // a process that is dying still has its socket
	switch {
	case k != nil && k.State == running.StateDead, err != nil && k != nil && k.State != running.StateRunning:
		return nil, Unusable(cmd, k)
	case err == nil:
		return c, nil
	case ServedElsewhere(name):
		return nil, cli.WithHint(fmt.Errorf("%s is a WireGuard interface of another program", name),
			"`wgnode show "+name+"` shows it; what passes can be seen of wgnode's own interfaces and of the kernel's only")
	case config.ValidName(name) && cli.FileExists("/sys/class/net/"+name):
		return nil, NoTunnel(name)
	}
	return nil, cli.WithHint(errors.Join(err, kerr), instead(cmd, name)...)
}

// instead says what to do where there is no tunnel of that name.
func instead(cmd *cobra.Command, name string) (hints []string) {
	if _, err := config.Find(name); err == nil {
		hints = append(hints, "bring it up with: wgnode up "+config.ShellQuote(name))
	}
	if names, _ := Lookable(); len(names) > 0 {
		hints = append(hints, "running: "+strings.Join(names, ", "))
	}
	if os.Geteuid() != 0 {
		hints = append(hints, rootsNodes(cmd))
	}
	if len(hints) == 0 {
		hints = append(hints, "no tunnel is running, and "+config.Dir+" has no configuration of that name")
	}
	return hints
}

// rootsNodes says how to see what an ordinary user does not.
func rootsNodes(cmd *cobra.Command) string {
	return "to see the nodes of root: sudo " + cli.CommandOf(cmd)
}

// ServedElsewhere reports whether a program without a control socket serves the
// interface.
func ServedElsewhere(name string) bool {
	conn, err := uapi.Dial(name)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}

// PickNode is the node that is meant where none is named, among all that are
// known; unseen is why there may be more.
func PickNode(cmd *cobra.Command, all []running.Known, unseen error) (string, error) {
	if names := RunningOf(all); len(names) > 0 {
		return OnlyNode(names)
	}
	return "", NoneRuns(cmd, all, unseen)
}

// ErrNoNode: none runs that this user can ask.
var ErrNoNode = errors.New("no node is running")

// noneError is ErrNoNode with what is known instead.
type noneError struct{ error }

func (noneError) Is(target error) bool { return target == ErrNoNode }
func (e noneError) Unwrap() error      { return e.error }

// NoneRuns says what there is in place of a node that runs.
func NoneRuns(cmd *cobra.Command, all []running.Known, unseen error) error {
	var errs []error
	for i := range all {
		if !canBeLookedAt(&all[i]) {
			errs = append(errs, Unusable(cmd, &all[i]))
		}
	}
	const remedy = "bring one up with: wgnode up NAME"
	switch {
	case len(errs) > 0:
		return noneError{errors.Join(append(errs, unseen)...)}
	case unseen != nil:
		return fmt.Errorf("look for running nodes: %w", unseen)
	case os.Geteuid() != 0:
		return noneError{cli.WithHint(errors.New("no node of this user is running"), remedy, rootsNodes(cmd))}
	}
	return cli.WithHint(ErrNoNode, remedy)
}

// canBeLookedAt reports whether who looks gets an answer: of a node that runs, and of a device of
// the kernel's, which needs none.
func canBeLookedAt(k *running.Known) bool {
	return k.State == running.StateRunning || k.State == running.StateKernel
}

// RunningOf are the names of what can be looked at.
func RunningOf(all []running.Known) (names []string) {
	for i := range all {
		if canBeLookedAt(&all[i]) {
			names = append(names, all[i].Name)
		}
	}
	return names
}

// WarnOfDead says which nodes have died and have left this host cut off: that
// may well be why somebody looks at another one.
func WarnOfDead(cmd *cobra.Command, all []running.Known) error {
	for i := range all {
		if k := &all[i]; k.State == running.StateDead && k.KillSwitch {
			if err := cli.Warn(cmd, "warning: %s", Epitaph(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unusable is why a node that is known cannot be asked, and what to do about it.
func Unusable(cmd *cobra.Command, k *running.Known) error {
	switch k.State {
	case running.StateDead:
		hints := []string{}
		if k.KillSwitch {
			hints = append(hints, "until then the kill switch lets nothing leave this host; `wgnode up "+k.Name+"` brings the tunnel back instead")
		}
		return cli.WithHint(&DeadError{k}, hints...)
	case running.StateForeign:
		return foreign(cmd, k)
	case running.StateKernel:
		return NotOfKernel(k.Name, quickDown(k.Name))
	}
	return cli.WithHint(fmt.Errorf("%s (pid %d) does not answer", k.Name, k.PID), "it is coming up or going down: try again in a moment")
}

// DeadError says that the node that was meant has died.
type DeadError struct{ Node *running.Known }

func (e *DeadError) Error() string { return Epitaph(e.Node) }

// Epitaph says of a dead node what it has left, and what undoes that.
func Epitaph(k *running.Known) string { return Obituary(k) + ": wgnode recover " + k.Name }

// Obituary says of a dead node what it has left.
func Obituary(k *running.Known) string {
	what := k.Name
	switch {
	case k.PID != 0:
		what += fmt.Sprintf(" (pid %d) died", k.PID)
	case k.Ended:
		what += " ended without being asked to"
	default:
		what += " died"
	}
	for i, l := range k.Left {
		switch {
		case i == 0 && l == plan.LeftKillSwitch:
			what += " and left its kill switch up"
		case i == 0:
			what += " and left its " + l
		case i == len(k.Left)-1:
			what += " and " + l
		default:
			what += ", " + l
		}
	}
	return what
}

// foreign says whose a node is, and how to ask it.
func foreign(cmd *cobra.Command, k *running.Known) error {
	owner := "another user"
	if k.User != "" {
		owner = k.User
	}
	err := fmt.Errorf("%s belongs to %s: only that user can query it", k.Name, owner)
	switch {
	case k.RunDir == "" && (k.User == "root" || k.User == ""):
		return cli.WithHint(err, "run it as root: sudo "+cli.CommandOf(cmd))
	case k.RunDir == "":
		return cli.WithHint(err, "run it as that user: sudo -u "+config.ShellQuote(owner)+" "+cli.CommandOf(cmd))
	}
	variable := ""
	if dir, ok := strings.CutSuffix(k.RunDir, "/wgnode"); ok {
		variable = "XDG_RUNTIME_DIR=" + config.ShellQuote(dir) + " "
	}
	if k.Own {
		if variable == "" {
			variable = "env -u XDG_RUNTIME_DIR "
		}
		return cli.WithHint(fmt.Errorf("%s was brought up with another run folder, %s", k.Name, k.RunDir), "try: "+variable+cli.CommandOf(cmd))
	}
	return cli.WithHint(err, "run it as that user: sudo -u "+config.ShellQuote(owner)+" "+variable+cli.CommandOf(cmd))
}

// WhileStopped is err with what to type, if it is that a node's process is stopped;
// else nil.
func WhileStopped(err error) error {
	if e, ok := errors.AsType[*rundir.StoppedError](err); ok {
		return cli.WithHint(err, fmt.Sprintf("let it go on: kill -CONT %d", e.PID))
	}
	return nil
}

// NoTunnel is the error for a name that may be an interface, but not a tunnel's.
func NoTunnel(name string) error {
	return cli.WithHint(fmt.Errorf("`%s' is not a WireGuard interface", name), "`wgnode show interfaces` lists those there are")
}

// AnyPeer stands in for a node's peers where only the rest of a filter counts.
func AnyPeer(string) ([]probe.PeerID, error) { return []probe.PeerID{1}, nil }
