//go:build linux

package kerneltunnel

import (
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/node/sender"
	"github.com/wgnode/wgnode/probe/key"
)

// Subject is the device as explanations and traces look at it. Packets of it are the host's, so
// that probes leave this process. If wg-quick has a file for the device it is compared with that.
func (t *Tunnel) Subject() explain.Subject {
	s := explain.Subject{Interface: t.name, Config: t.config, Tunnel: t, Prober: explain.Host{}, Kernel: true, Settle: t.Settle}
	if l, err := link.ByName(t.name); err == nil { // else it has gone
		s.MTU = l.MTU
	}
	t.compare(&s)
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

// compare adds what wg-quick's file says.
func (t *Tunnel) compare(s *explain.Subject) {
	d := t.now()
	now, err := t.filed.read(d)
	if s.Unread = err; now == nil {
		return
	}
	s.Config, s.File = t.filed.path, applied(now, d)
	s.Load = func() (*config.Config, error) { return now, nil }
	endpoints := written(now)
	s.Endpoint = func(k key.Public) (string, error) { return endpoints[k], nil }
}
