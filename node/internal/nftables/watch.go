//go:build linux

package nftables

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Watcher calls a function whenever the firewall changes.
type Watcher struct {
	conn   *netlink.Conn
	closed atomic.Bool
	done   chan struct{}
}

// Watch starts to watch the tables of the network namespace of the calling
// thread. changed is called by one goroutine, once for each table that a
// transaction names; it should be quick.
func Watch(changed func(Change)) (*Watcher, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open netfilter netlink socket: %w", err)
	}
	if err := c.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to changes of nftables: %w", err), c.Close())
	}
	w := &Watcher{conn: c, done: make(chan struct{})}
	go w.run(changed)
	return w, nil
}

func (w *Watcher) run(changed func(Change)) {
	defer close(w.done)
	named := make(map[string]bool) // by the transaction whose end is still to come
	for {
		messages, err := w.conn.Receive()
		switch {
		case w.closed.Load():
			return
		case errors.Is(err, unix.ENOBUFS):
			clear(named)
			changed(Change{})
			continue
		case err != nil:
			// No other error is known of a netlink socket.
			return
		}
		for _, m := range messages {
			table, end, ok := readChange(m)
			switch {
			case !ok:
			case end == nil:
				named[table] = true
			default:
				for table := range named {
					changed(Change{table, end.Program, end.PID})
				}
				clear(named)
			}
		}
	}
}

// readChange returns the table that a message names, or, at the end of a
// transaction, who made it.
func readChange(m netlink.Message) (table string, end *Change, ok bool) {
	if m.Header.Type>>8 != unix.NFNL_SUBSYS_NFTABLES || len(m.Data) < sizeofGenericHeader {
		return "", nil, false
	}
	a, err := attributes(m.Data[sizeofGenericHeader:])
	if err != nil {
		return "", nil, false
	}
	if m.Header.Type&0xff == unix.NFT_MSG_NEWGEN {
		return "", &Change{Program: text(a[unix.NFTA_GEN_PROC_NAME]), PID: int(number(a[unix.NFTA_GEN_PROC_PID]))}, true
	}
	families := map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}
	family, ok := families[m.Data[0]]
	return family + " " + text(a[unix.NFTA_TABLE_NAME]), nil, ok // the first attribute of all kinds of messages
}

// Close stops the watch and waits until changed is called no more.
func (w *Watcher) Close() error {
	w.closed.Store(true)
	err := w.conn.Close()
	<-w.done
	return err
}
