package recording_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// A recording is written, here to memory, and read again. Events come from a node's flight recorder.
func Example() {
	at := time.Date(2026, 3, 1, 19, 47, 20, 0, time.UTC)
	var file bytes.Buffer
	w, err := recording.NewWriter(&file, &recording.Meta{ID: 1, Host: "laptop", Interface: "wg0",
		Peers: []recording.Peer{{ID: 1, PublicKey: key.GeneratePrivate().Public(), Name: "bob"}}})
	if err != nil {
		log.Fatal(err)
	}
	e := probe.Event{Time: at.UnixNano(), Seq: 1, Seam: probe.SeamUDPSend, Checkpoint: probe.A2, Kind: probe.KindInitiation, Peer: 1,
		OuterDst: probe.AddrFrom(netip.MustParseAddr("203.0.113.2")), OuterDstPort: 51820, OuterLen: 148, PrefixBits: probe.NoPrefix}
	if err := errors.Join(w.Event(&e, nil, 0), w.CloseAt(recording.Loss{}, at.Add(time.Second))); err != nil {
		log.Fatal(err)
	}

	r, err := recording.NewReader(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("recorded on", r.Meta().Host)
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		_, name, _ := r.Meta().Peer(p.Event.Peer)
		fmt.Println(p.Event.Checkpoint, p.Event.Kind, "to", name, p.Event.OuterDst.Netip())
	}
	fmt.Println("complete:", r.Complete(), "events lost:", r.Loss().Events)
	// Output:
	// recorded on laptop
	// A2 initiation to bob 203.0.113.2
	// complete: true events lost: 0
}
