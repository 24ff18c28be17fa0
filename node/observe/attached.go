package observe

import (
	"context"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/host/attached"
)

// hiding is the source of what can take packets where nothing shows it: it observes nothing,
// and says what there is when it starts.
type hiding struct {
	to     chan Observation
	unseen []string
}

func newHiding() Source { return &hiding{to: make(chan Observation)} }

// namedAtMost bounds what is said of a host that has a program at each device.
const namedAtMost = 8

// Start looks once, in the network namespace of the calling thread. What cannot be read is
// no reason not to look at the rest.
func (h *hiding) Start(_ context.Context, sel Selection) error {
	h.unseen = nil
	programs, err := attached.Programs()
	if err == nil && len(programs) > 0 {
		more := ""
		if len(programs) > namedAtMost {
			programs, more = programs[:namedAtMost], ", and others"
		}
		h.unseen = append(h.unseen, "the trace does not show what these do with packets: "+strings.Join(programs, ", ")+more)
	}
	sockets, err := attached.Full(datagramPorts(sel)...)
	if err == nil {
		h.unseen = append(h.unseen, sockets...)
	}
	return nil
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
func (h *hiding) Observations() <-chan Observation { return h.to }

// Unseen implements [Source].
func (h *hiding) Unseen() []string { return h.unseen }

// Close implements [Source].
func (h *hiding) Close() error { return nil }
