package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/exporter"
	"github.com/wgnode/wgnode/node/guard"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/node/hook"
	"github.com/wgnode/wgnode/node/internal/device"
	"github.com/wgnode/wgnode/node/internal/drift"
	"github.com/wgnode/wgnode/node/internal/endpoint"
	"github.com/wgnode/wgnode/node/internal/netwatch"
	"github.com/wgnode/wgnode/node/internal/nftables"
	"github.com/wgnode/wgnode/node/internal/say"
	"github.com/wgnode/wgnode/node/internal/task"
	"github.com/wgnode/wgnode/node/internal/uplink"
	"github.com/wgnode/wgnode/node/lookup"
	"github.com/wgnode/wgnode/node/plan"
	"github.com/wgnode/wgnode/node/unixsocket"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/netstack"
)

// Options say how to run a node. The zero value is a good one.
type Options struct {
	// Netstack ends the tunnel in a userspace network stack instead of a
	// network interface. Addresses, MTU and peers of the configuration count;
	// routes there are none.
	Netstack bool
	// FallBack is Netstack where this process may not make an interface, as in a
	// container: Out hears why, and what is lost by it. But what others may rely on
	// to keep packets in, or to let them through, is refused then: a kill switch,
	// forwarding, and hooks that change the firewall.
	FallBack bool
	// MakeLink, if not nil, makes the interface in place of the node, which then
	// changes nothing else on this host either: the configuration's private key,
	// port, peers and mark count, and the rest is for MakeLink to do, or not. It is
	// called when the endpoints are known; mtu, in bytes, is what fits the ways to
	// them. It does not go with Netstack.
	MakeLink func(ctx context.Context, mtu int) (*Link, error)
	// Out gets a line "[#] COMMAND" for each step that is done or undone, and
	// "[!] ..." for what is left out or worth knowing. Nil is for none.
	Out io.Writer
	// Explain adds to the line of each step why it is there.
	Explain bool
	// Shell is where the configuration's hooks run.
	Shell hook.Shell
	// RunDir is the folder of journals and control sockets; [RunDir] if empty.
	RunDir string
	// Logger gets what happens while the node runs. Nil is for none.
	Logger *slog.Logger
	// RecorderBytes is the memory of the flight recorder;
	// probe.DefaultRecorderBytes if 0.
	RecorderBytes int
	// NoUAPI and NoControl leave out the two sockets, for programs that embed
	// a node.
	NoUAPI, NoControl bool
	// Metrics is where health and metrics are served, whatever the configuration
	// says. The zero Listen leaves it to that.
	Metrics config.Listen
	// MetricsHosts are names under which it may be asked, besides those of the
	// configuration.
	MetricsHosts []string
	// MetricsWebConfig is the file that says who may ask, in place of the configuration's. With it Metrics
	// may be an address that other hosts can reach.
	MetricsWebConfig string
	// HistoryDir is the folder where the states of peers are kept over days, as package history has
	// it; "" for nowhere. That it cannot be written is logged, and no reason to stop.
	HistoryDir string
	// StaleAfter is the age of the latest handshake at which a peer that should
	// be heard of counts as moved, so that its endpoint's name is looked up again;
	// 135 s if 0. Only tests have a reason to change it.
	StaleAfter time.Duration
	// Guardian returns a command that runs [guard.Run] on its standard input. It guards
	// the kill switch of that interface when this process has died; if nil, the kill
	// switch still stands then, but another program may flush it.
	Guardian func(link string) *exec.Cmd
	// Sender returns a command that runs [sender.Pass]; nil: no probe is sent as another
	// process.
	Sender func() *exec.Cmd
	// Services are more than those of the configuration. They take Netstack.
	Services config.Services
	// OpenTables leaves the kill switch open to changes by other programs, as kernels
	// before Linux 6.9 do, so that it has to be put back. Only tests have a reason
	// to want it.
	OpenTables bool
	// Bind carries the encrypted packets; tunnel/udp's if nil. The node owns
	// it from then on.
	Bind conn.Bind
}

// Node is a running node. Its methods are safe for concurrent use.
type Node struct {
	name      string
	opt       Options
	mode      mode                          // where the tunnel ends
	cfg       atomic.Pointer[config.Config] // a reload changes it
	endpoints atomic.Pointer[endpoint.Set]  // as above
	tun       *tunnel.Tunnel
	port      uint16 // of the device when the node came up; 0: a PreUp hook gave it one
	names     *lookup.Resolver
	keeper    *explain.Keeper // of verdicts, for those who ask often
	began     uplink.State    // the network when the node had come up

	// What the node did on this host, and keeps there.
	journal        *plan.Journal // nil: nothing to undo
	runner         plan.Runner
	applied        drift.Applied
	mtu            netwatch.MTU
	hooked         hooked           // by PreUp hooks, and a mark by others
	tables         *nftables.Keeper // of the firewall
	guard          *guard.Tables
	guardian       guard.Guardian
	killSwitch     *nftables.KillSwitch
	keepKillSwitch bool          // when the node ends
	left           *plan.Journal // of a dead node whose kill switch stands; nil: none
	standing       uint32        // the mark that such a kill switch lets pass, until there is a tunnel

	// Who is told, and asks.
	uapi      *device.UAPI  // nil: none
	control   net.Listener  // nil: none
	book      *history.Book // of the peers' states; nil: none is kept
	metrics   *exporter.Server
	telemetry *telemetry

	reloads chan reloadRequest // to the one who runs the tasks that depend on the configuration
	ended   chan struct{}      // closed when nobody serves any more

	// release ends the node and leaves the hooks of going down, and the saving,
	// to whoever asked for it.
	release  func()
	released chan struct{}

	closing  sync.Once
	closeErr error
}

// Name is the name of the interface.
func (n *Node) Name() string { return n.name }

// Config is what the node was started with, or has reloaded last. Nobody may
// change it.
func (n *Node) Config() *config.Config { return n.cfg.Load() }

// Tunnel is the WireGuard device.
func (n *Node) Tunnel() *tunnel.Tunnel { return n.tun }

// Net is the userspace network stack that the tunnel ends in, or nil if it
// ends in a network interface.
func (n *Node) Net() *netstack.Net { return n.mode.stack() }

// Run serves the node's sockets, and keeps up with peers and networks that
// change, until ctx ends or the interface goes away, which is no error: that is
// how others take a node down. Before it stops serving because of ctx it runs
// the PreDown hooks, and saves the configuration if that says so. It may be
// called once. [Node.Close] is still to be called.
//
// If Run ends unasked, the interface gone or a task failed, the node's kill
// switch outlasts Close: [teardown.Down] or [teardown.Recover] removes it.
func (n *Node) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	served := make(chan error, 1)
	go func() { served <- n.serve(serving) }()
	select {
	case err := <-served:
		// Nobody has asked for this end, so it must not let anything out.
		n.keepKillSwitch = n.killSwitch != nil
		return err
	case <-n.released:
		stop()
		return <-served
	case <-ctx.Done():
	}
	// Hooks may ask the device, so it is served meanwhile.
	err := n.prepareDown(context.WithoutCancel(ctx))
	stop()
	return errors.Join(err, <-served)
}

// serve does what Run says until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	defer close(n.ended)
	tasks := []task.Task{device.Watch{Tunnel: n.tun}, adaptTask{n}, n.metrics}
	tasks = append(tasks, n.mode.tasks(n)...)
	if n.uapi != nil {
		tasks = append(tasks, n.uapi)
	}
	if n.control != nil {
		tasks = append(tasks, controlTask{n})
	}
	if n.book != nil {
		tasks = append(tasks, historyTask{n})
	}
	if n.telemetry.sender != nil {
		tasks = append(tasks, telemetryTask{n})
	}
	err := task.Run(ctx, tasks)
	if errors.Is(err, device.ErrGone) {
		n.opt.Logger.Info("the node ends", "interface", n.name, "reason", err)
		return nil
	}
	return err
}

// Close undoes in reverse what Start did, and runs the PostDown hooks. Run must
// have ended, or never have begun. What cannot be undone stays in the journal,
// and is in the error. Further calls return the same.
func (n *Node) Close() error {
	n.closing.Do(func() { n.closeErr = n.close() })
	return n.closeErr
}

func (n *Node) close() error {
	var errs []error
	hooksDue := n.ownsHooks()
	if n.keepKillSwitch {
		n.say("[!] the kill switch of %s still stands; `wgnode down %s` removes it", n.name, n.name)
		n.opt.Logger.Warn("the kill switch still stands", "interface", n.name)
	}
	n.mode.close()
	if n.control != nil {
		errs = append(errs, unixsocket.Close(n.control))
	}
	if n.uapi != nil {
		errs = append(errs, unixsocket.Close(n.uapi))
	}
	errs = append(errs, n.metrics.Close())
	n.closeHistory()
	if n.killSwitch != nil && !n.keepKillSwitch {
		n.guardian.Doubt(*n.killSwitch) // from now on it may be gone
	}
	if n.journal != nil {
		errs = append(errs, n.undo())
	}
	errs = append(errs, n.tables.Close(), n.leaveGuardian())
	n.keeper.Close()
	if n.tun != nil {
		n.tun.Close()
	}
	if hooksDue && errors.Join(errs...) == nil {
		errs = append(errs, n.runHooks(context.Background(), hook.PostDown))
	}
	return errors.Join(errs...)
}

// leaveGuardian ends the guardian, or leaves it what is left of the kill switch.
func (n *Node) leaveGuardian() error {
	isKillSwitch := func(s plan.Step) bool { return s.Op == plan.OpKillSwitch }
	if n.keepKillSwitch || n.journal != nil && slices.ContainsFunc(n.journal.Steps, isKillSwitch) {
		return n.guardian.Release()
	}
	return n.guardian.End()
}

// undo undoes the steps, but for the kill switch where that is to stay.
func (n *Node) undo() error {
	if !n.keepKillSwitch {
		return n.runner.Undo(context.Background(), n.journal)
	}
	return n.runner.UndoExcept(context.Background(), n.journal, plan.OpKillSwitch)
}

// say prints a line for people. Nobody listening is no error.
func (n *Node) say(format string, args ...any) { say.Line(n.opt.Out, format, args...) }
