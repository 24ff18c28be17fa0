//go:build linux

package kerneltunnel

import (
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/sender"
)

// Subject is the device as explanations and traces look at it. Packets of it are the host's, so
// that probes leave this process; what the file says that the device was configured by is
// not compared with it.
func (t *Tunnel) Subject() explain.Subject {
	s := explain.Subject{Interface: t.name, Config: t.config, Tunnel: t, Prober: explain.Host{}, Kernel: true, Settle: t.Settle}
	if l, err := link.ByName(t.name); err == nil { // else it has gone
		s.MTU = l.MTU
	}
	if t.Sender != nil {
		s.As = func(pid int) (explain.Prober, error) {
			p, err := sender.Of(pid)
			if err != nil {
				return nil, err
			}
			return explain.As{Process: p, Command: t.Sender}, nil
		}
	}
	return s
}
