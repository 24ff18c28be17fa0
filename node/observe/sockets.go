//go:build linux

package observe

import (
	"context"
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/sockets"
)

// refusing is the source of UDP sockets that have refused datagrams: it observes nothing, and
// says what there is when it starts.
type refusing struct {
	to     chan Observation
	unseen []string
}

func newRefusing() Source { return &refusing{to: make(chan Observation)} }

// Start looks once, in the network namespace of the calling thread.
func (r *refusing) Start(_ context.Context, sel Selection) error {
	full, err := sockets.Full(datagramPorts(sel)...)
	r.unseen = full
	return err
}

// datagramPorts are those that the selected datagrams come in to.
func datagramPorts(sel Selection) []uint16 {
	var ports []uint16
	for _, m := range sel.Packets {
		if m.Proto == probe.ProtoUDP && m.DstPort != 0 && (m.On == evidence.FromWire || m.On == evidence.FromTunnel) &&
			!slices.Contains(ports, m.DstPort) {
			ports = append(ports, m.DstPort)
		}
	}
	return ports
}

// Observations implements [Source]: there are none.
func (r *refusing) Observations() <-chan Observation { return r.to }

// Unseen implements [Source].
func (r *refusing) Unseen() []string { return r.unseen }

// Close implements [Source].
func (r *refusing) Close() error { return nil }
