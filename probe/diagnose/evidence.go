package diagnose

import (
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
)

// Names of package evidence, until this package writes them in full.
type (
	Segment        = evidence.Segment
	KernelEvidence = evidence.KernelEvidence
	Traversal      = evidence.Traversal
	Drop           = evidence.Drop
	SourceCheck    = evidence.SourceCheck
	Forwarding     = evidence.Forwarding
	Neighbor       = evidence.Neighbor
	Conntrack      = evidence.Conntrack
	XfrmBlock      = evidence.XfrmBlock
	RouteDecision  = evidence.RouteDecision
	Side           = probe.Side
)

const (
	ToTunnel   = evidence.ToTunnel
	ToWire     = evidence.ToWire
	FromWire   = evidence.FromWire
	FromTunnel = evidence.FromTunnel

	RouteUnknown     = evidence.RouteUnknown
	RouteFound       = evidence.RouteFound
	RouteNone        = evidence.RouteNone
	RouteUnreachable = evidence.RouteUnreachable
	RouteProhibited  = evidence.RouteProhibited
	RouteBlackhole   = evidence.RouteBlackhole

	SideA = probe.SideA
	SideB = probe.SideB
)
