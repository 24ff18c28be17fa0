package netstack

import "golang.zx2c4.com/wireguard/tun"

// quiet is a device that does not tell of itself that it is up. The WireGuard
// device would open its sockets on that account, while it is being configured:
// a port that is taken would then not be an error, but another port. A stack is
// up for as long as it is there; when packets are to pass is for the owner of
// the tunnel to say.
type quiet struct {
	tun.Device
	events chan tun.Event
}

func newQuiet(dev tun.Device) quiet {
	q := quiet{dev, make(chan tun.Event)}
	go func() {
		defer close(q.events)
		for e := range dev.Events() {
			if e &^= tun.EventUp; e != 0 {
				q.events <- e
			}
		}
	}()
	return q
}

// Events implements [tun.Device].
func (q quiet) Events() <-chan tun.Event { return q.events }
