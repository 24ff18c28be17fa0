package netchange

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// groups are the announcements of changes.
const groups = unix.RTMGRP_LINK |
	unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV4_RULE |
	unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE | 1<<(unix.RTNLGRP_IPV6_RULE-1)

// Watcher calls a function whenever the host's network changes.
type Watcher struct {
	file *os.File
	done chan struct{}
}

// Watch starts to watch the network namespace of the calling thread. changed is
// called by one goroutine, many times for some changes; it should be quick.
func Watch(changed func()) (*Watcher, error) { return watch(groups, changed) }

// WatchLinks is Watch for links alone.
func WatchLinks(changed func()) (*Watcher, error) { return watch(unix.RTMGRP_LINK, changed) }

func watch(groups uint32, changed func()) (*Watcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to route changes: %w", err), unix.Close(fd))
	}
	w := &Watcher{
		// A non-blocking descriptor: Close ends a Read in progress.
		file: os.NewFile(uintptr(fd), "rtnetlink"),
		done: make(chan struct{}),
	}
	go w.run(changed)
	return w, nil
}

func (w *Watcher) run(changed func()) {
	defer close(w.done)
	// What changed does not matter, so the message may be cut short.
	var buf [unix.SizeofNlMsghdr]byte
	for {
		_, err := w.file.Read(buf[:])
		if errors.Is(err, os.ErrClosed) {
			return
		}
		changed()
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // ENOBUFS: so many changes that some were lost
			// No other error is known of a netlink socket. Changes are then
			// noticed by their effects only.
			return
		}
	}
}

// Close stops the watch and waits until changed is called no more.
func (w *Watcher) Close() error {
	err := w.file.Close()
	<-w.done
	return err
}
