//go:build !linux

package netchange

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// every is how often the links and their addresses are looked at.
const every = 2 * time.Second

// Watcher calls a function whenever the host's links or their addresses have changed. Routes are not
// looked at.
type Watcher struct{ stop, done chan struct{} }

// Watch starts to watch. changed is called by one goroutine; it should be quick.
func Watch(changed func()) (*Watcher, error) {
	now, err := picture()
	if err != nil {
		return nil, err
	}
	w := &Watcher{make(chan struct{}), make(chan struct{})}
	go w.run(now, changed)
	return w, nil
}

// WatchLinks is Watch.
func WatchLinks(changed func()) (*Watcher, error) { return Watch(changed) }

func (w *Watcher) run(was string, changed func()) {
	defer close(w.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		if now, err := picture(); err == nil && now != was { // else it is looked at again
			was = now
			changed()
		}
	}
}

// picture is all that is looked at, as text.
func picture() (string, error) {
	links, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("list links: %w", err)
	}
	var text strings.Builder
	for _, l := range links {
		addrs, _ := l.Addrs() // of one that has gone there are none
		fmt.Fprintln(&text, l.Index, l.Name, l.MTU, l.Flags, addrs)
	}
	return text.String(), nil
}

// Close stops the watch and waits until changed is called no more.
func (w *Watcher) Close() error {
	close(w.stop)
	<-w.done
	return nil
}
