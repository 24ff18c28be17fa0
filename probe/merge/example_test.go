package merge_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/merge"
	"github.com/wgnode/wgnode/probe/recording"
)

// Two hosts have recorded: the laptop sent three initiations, and two of them arrived at the
// server. Recordings come from "wgnode record", or from package recording.
func ExampleMerge() {
	dir, err := os.MkdirTemp("", "merge")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	laptop, server := key.GeneratePrivate().Public(), key.GeneratePrivate().Public()
	files := []string{filepath.Join(dir, "laptop.pcapng"), filepath.Join(dir, "server.pcapng")}
	record(files[0], "laptop", laptop, server, probe.Event{Seam: probe.SeamUDPSend, Checkpoint: probe.A2}, 1, 2, 3)
	record(files[1], "server", server, laptop, probe.Event{Seam: probe.SeamUDPReceive, Checkpoint: probe.B1}, 1, 3)

	r, err := merge.Merge(context.Background(), files, merge.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, link := range r.Links {
		for _, leg := range link.Legs {
			fmt.Printf("%s to %s: %d initiations sent, %d lost on the way\n", leg.From, leg.To, leg.Sent, leg.Lost)
		}
	}
	// Output:
	// laptop to server: 3 initiations sent, 1 lost on the way
}

// record writes a recording of initiations with these sender indices, a second apart.
func record(path, host string, own, peer key.Public, e probe.Event, senders ...uint32) {
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 19, 47, 20, 0, time.UTC)
	w, err := recording.NewWriter(f, &recording.Meta{ID: uint64(len(senders)), Host: host, Interface: "wg0", PublicKey: own,
		Clock: recording.Clock{Started: start}, Peers: []recording.Peer{{ID: 1, PublicKey: peer}}})
	if err != nil {
		log.Fatal(err)
	}
	e.Kind, e.Peer, e.OuterLen, e.PrefixBits = probe.KindInitiation, 1, 148, probe.NoPrefix
	e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(netip.MustParseAddr("198.51.100.1")), 51820
	e.OuterDst, e.OuterDstPort = probe.AddrFrom(netip.MustParseAddr("203.0.113.2")), 51820
	for _, sender := range senders {
		e.Seq, e.Sender, e.Time = e.Seq+1, sender, start.Add(time.Duration(sender)*time.Second).UnixNano()
		if err := w.Event(&e, nil, 0); err != nil {
			log.Fatal(err)
		}
	}
	if err := errors.Join(w.CloseAt(recording.Loss{}, start.Add(time.Minute)), f.Close()); err != nil {
		log.Fatal(err)
	}
}
