package tundev

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/wgnode/wgnode/tunnel/netchange"
)

// glance is how often an interface is looked at whose changes nobody announces
// here, because it is in another network namespace. That it comes up is noticed
// at once also there, see awaitUp.
const glance = time.Second

// watch turns the state of a device into events.
type watch struct {
	d       *Device
	changes *netchange.Watcher
	kick    chan struct{}
	events  chan tun.Event
	stop    chan struct{}
	waiting atomic.Bool // awaitUp runs
	once    sync.Once
	done    sync.WaitGroup
}

// startWatch watches from the network namespace of the calling thread.
func startWatch(d *Device) (*watch, error) {
	w := &watch{d: d, kick: make(chan struct{}, 1), events: make(chan tun.Event), stop: make(chan struct{})}
	var err error
	if w.changes, err = netchange.Watch(w.changed); err != nil {
		return nil, err
	}
	w.done.Go(w.run)
	return w, nil
}

func (w *watch) changed() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *watch) run() {
	defer close(w.events)
	var up bool
	mtu := int(w.d.mtu.Load())
	timer := time.NewTimer(glance)
	defer timer.Stop()
	for {
		now, away, gone := w.look()
		if gone {
			return // the device's Read says so
		}
		if now.mtu != mtu && !away {
			mtu = now.mtu
			w.d.iface.limitSegments(mtu)
			w.say(tun.EventMTUUpdate)
		}
		if now.up != up {
			up = now.up
			if up {
				w.say(tun.EventUp)
			} else {
				w.say(tun.EventDown)
			}
		}
		var tick <-chan time.Time
		if away {
			timer.Reset(glance)
			tick = timer.C
			if !now.up && w.waiting.CompareAndSwap(false, true) {
				go w.awaitUp()
			}
		}
		select {
		case <-w.stop:
			return
		case <-w.kick:
		case <-tick:
		}
	}
}

// awaitUp waits until the interface is up, which is when a TUN device becomes
// writable, or until the device is closed.
func (w *watch) awaitUp() {
	err := w.d.raw.Write(func(uintptr) bool {
		up, gone := w.d.isUp()
		return up || gone
	})
	w.waiting.Store(false)
	if err == nil {
		w.changed()
	}
}

// say sends an event, unless the device is closed first.
func (w *watch) say(e tun.Event) {
	select {
	case w.events <- e:
	case <-w.stop:
	}
}

type state struct {
	up  bool
	mtu int
}

// look finds the state of the interface, whether it is in another network
// namespace than the one that is watched, and whether it is gone for good.
func (w *watch) look() (s state, away, gone bool) {
	if w.d.closed.Load() {
		return s, false, true
	}
	s.up, gone = w.d.isUp()
	if gone {
		return s, false, true
	}
	var err error
	s.mtu, err = w.d.lookMTU()
	return s, err != nil, false
}

// isUp asks in the one way that works from anywhere: a TUN device can be written
// to if it is up (tun_chr_poll in drivers/net/tun.c).
func (d *Device) isUp() (up, gone bool) {
	err := d.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		for {
			_, err := unix.Poll(p, 0)
			if err == nil || !errors.Is(err, unix.EINTR) {
				break
			}
		}
		up = p[0].Revents&unix.POLLOUT != 0
		gone = p[0].Revents&unix.POLLERR != 0
	})
	return up, gone || err != nil
}

// close ends the watch.
func (w *watch) close() error {
	err := w.changes.Close()
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
	return err
}
