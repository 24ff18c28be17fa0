//go:build !linux

package explain

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"

	"github.com/wgnode/wgnode/node/observe"
	"github.com/wgnode/wgnode/node/sender"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host"
	"github.com/wgnode/wgnode/probe/host/netfilter"
)

// This system's kernel tells nothing of packets, routes and rules. So what is known of a flow is
// what the tunnel has seen of it, and what could not be asked is said where Linux would say it.

// kernelWatch has nothing to take in.
type kernelWatch struct {
	whose *whose
	forth netfilter.Header
}

func (x *explanation) watchKernel(ctx context.Context) {
	x.facts.Kernel = x.session.WatchKernel(ctx, observe.Selection{})
}

func (w *kernelWatch) update(*diagnose.Facts) {}

func (x *explanation) addPacket(*observe.Packet) {}
func (x *explanation) addDrop(*observe.Dropped)  {}
func (x *explanation) turn()                     {}
func (x *explanation) recognize(*probe.Event)    {}
func (x *explanation) only(probe.PeerID)         {}
func (s *Subject) lacks(*diagnose.Facts)         {}

// measure measures nothing: packets that are not cut, and what routers say of them, are Linux's here.
func (x *explanation) measure(context.Context) *diagnose.PathMTU {
	return &diagnose.PathMTU{To: x.flow.Target.Addr(), Untested: host.NeedsLinux("a measurement of the path's MTU").Error()}
}

// wireWatch has nothing to take in, and says so.
type wireWatch struct {
	watch kernelWatch
	seen  *evidence.KernelEvidence
}

func newWireWatch(_ string, seen *evidence.KernelEvidence, whose *whose) *wireWatch {
	return &wireWatch{kernelWatch{whose: whose}, seen}
}

func (w *wireWatch) add(*diagnose.Facts, *collect.Collector, *observe.Packet)      {}
func (w *wireWatch) addDrop(*diagnose.Facts, *collect.Collector, *observe.Dropped) {}
func (w *wireWatch) of(probe.PeerID) *evidence.KernelEvidence                      { return nil }

func (w *wireWatch) complete(r *diagnose.DoctorReport) {
	r.Unchecked = append(r.Unchecked, "what this host does with the tunnel's packets: "+w.seen.Blind)
}

// host finds nothing out about the host's networks.
func (g *gathering) host() {
	g.failed("the host's networks", host.NeedsLinux("a look at routes and rules"))
}

// endpointRoutes knows of no routes.
func (s *Subject) endpointRoutes(uint16, uint32, []netip.AddrPort) map[netip.AddrPort]found {
	return nil
}

// routeTo knows of no routes.
func routeTo(dst netip.AddrPort, _ uint8, _ uint32, _ string) evidence.RouteDecision {
	return evidence.RouteDecision{Text: fmt.Sprintf("where packets to %s go: %v", dst.Addr(), host.NeedsLinux("a look at routes and rules"))}
}

// As would probe as a process of this host.
type As struct {
	Process *sender.Process
	Command func() *exec.Cmd
	Host
}

// String says who that is.
func (As) String() string { return "" }

// Observer would find out, while packets are recorded, what this host's kernel does with them.
type Observer struct{}

// NewObserver returns nil, which observes nothing.
func NewObserver(context.Context, Subject) (*Observer, error) { return nil, nil }

// Recorded takes in an event that is recorded.
func (o *Observer) Recorded(*probe.Event) {}

// SeesDrops reports whether what the kernel drops is observed.
func (o *Observer) SeesDrops() bool { return false }

// Drops are packets that the kernel has dropped since the call before.
func (o *Observer) Drops() []Dropped { return nil }

// DropsMissed is how many could not be recorded.
func (o *Observer) DropsMissed() uint64 { return 0 }

// End has the observation end.
func (o *Observer) End() {}

// Close ends it, and returns what was observed.
func (o *Observer) Close() []evidence.Observations { return nil }
