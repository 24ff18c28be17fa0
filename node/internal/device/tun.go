package device

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/tunnel/tundev"
)

// Create makes a TUN device of the kernel's.
func Create(name string) (tun.Device, error) {
	dev, err := tundev.Create(name, DefaultMTU)
	if err != nil {
		return nil, fmt.Errorf("create TUN device %s: %w", name, err)
	}
	return dev, nil
}

// OpenTUN takes over a TUN device that is open already, or makes one where file is nil.
func OpenTUN(name string, file *os.File) (tun.Device, error) {
	if file == nil {
		if !config.ValidName(name) {
			return nil, fmt.Errorf("%q is not the name of an interface", name)
		}
		return Create(name)
	}
	dev, err := tundev.FromFile(file, DefaultMTU)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use TUN device %s: %w", name, err), file.Close())
	}
	return dev, nil
}

// Steady returns dev, or what keeps its false alarms from the device if it is
// wireguard-go's own.
func Steady(dev tun.Device, name string, log *slog.Logger) tun.Device {
	if FellBack(dev, log) {
		return newSteadyTUN(dev, name)
	}
	return dev
}

// FellBack reports whether dev is wireguard-go's own, and says why.
func FellBack(dev tun.Device, log *slog.Logger) bool {
	f, ok := dev.(*tundev.Fallback)
	if ok {
		log.Warn("slower path to the interface: the kernel refuses what a faster one needs", "error", f.Cause)
	}
	return ok
}

// steadyTUN keeps false alarms from the device. It opens its sockets before the
// interface is up, so that a port that is taken is an error of Start's; but a
// TUN device tells of itself whatever it happens to see, "down" at first, and
// the device would close them again; or "up", at which the device would begin to
// shake hands while it is still being configured, unseen by the tunnel. (The
// module finds out whether the interface is up by an empty write, of which the
// kernel says the same either way if packets have virtio headers.) An "up" is
// passed on only if the interface is up, a "down" only if it has been and is no
// more.
type steadyTUN struct {
	tun.Device
	events chan tun.Event
}

func newSteadyTUN(dev tun.Device, name string) *steadyTUN {
	s := &steadyTUN{dev, make(chan tun.Event)}
	go func() {
		defer close(s.events)
		seenUp := false
		for e := range dev.Events() {
			if e&tun.EventUp != 0 {
				if isUp(name) {
					seenUp = true
				} else {
					e &^= tun.EventUp
				}
			}
			if e&tun.EventDown != 0 && (!seenUp || isUp(name)) {
				e &^= tun.EventDown
			}
			if e != 0 {
				s.events <- e
			}
		}
	}()
	return s
}

func (s *steadyTUN) Events() <-chan tun.Event { return s.events }

func isUp(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagUp != 0
}
