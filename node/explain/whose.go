package explain

import (
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/tunnel"
)

// whose finds out whose encrypted packets are. Anybody can send to the tunnel's port, in
// anybody's name: a packet is a peer's if it has an index that only the two ends and the
// path between them know, or if it is an initiation that was read.
type whose struct {
	tunnel Tunnel
	// read are the initiations that were: whose they are, 0 for nobody's.
	read map[call]probe.PeerID
	// waiting are packets that may belong to an initiation that is yet to be read.
	waiting []waiting
}

// call is what tells an initiation from others: its index, and the beginning of its
// ephemeral key.
type call [tunnel.HeadLen - 4]byte

// waiting is a packet that waits, and what is to be done once it is known whose it is.
type waiting struct {
	head  [tunnel.HeadLen]byte
	since time.Time
	then  func(belongs)
}

// belongs says whose a packet is.
type belongs struct {
	peer probe.PeerID // 0: nobody's that is known
	// known is how that is known: a secret or authenticated, or claimed where anybody could
	// have sent the packet. Of what no peer has sent it is authenticated, too.
	known evidence.Known
}

const (
	// readKept and waitingKept bound what strangers can fill.
	readKept    = 256
	waitingKept = 256
	// readTime is how long after netfilter or the kernel has told of an initiation it may
	// yet be heard: both tell of it at once, in no order.
	readTime = time.Second
)

func newWhose(t Tunnel) *whose { return &whose{tunnel: t, read: make(map[call]probe.PeerID)} }

// ask calls then once it is known whose the message is that begins with head, at once as a
// rule. sent is one of this host's, to an address if it is known to be no other host's.
func (w *whose) ask(head []byte, sent bool, to netip.AddrPort, now time.Time, then func(belongs)) {
	if p := w.tunnel.PeerOf(head, sent); p != 0 {
		then(belongs{p, evidence.Secret})
		return
	}
	if sent && w.tunnel.Level().Copies() {
		// A rule that drops it here leaves no copy. The port is the kernel's alone.
		if p := w.at(to); p != 0 {
			then(belongs{p, evidence.Kernel})
			return
		}
	}
	if sent || len(head) < tunnel.HeadLen || head[0] != probe.TypeInitiation {
		then(belongs{known: evidence.Claimed})
		return
	}
	c := call(head[4:tunnel.HeadLen])
	if p, ok := w.read[c]; ok {
		then(belongs{p, evidence.Authenticated})
		return
	}
	if len(w.waiting) == waitingKept {
		w.release()
	}
	w.waiting = append(w.waiting, waiting{[tunnel.HeadLen]byte(head), now, then})
}

// at is the only peer with an endpoint, 0 if there is none, or more than one.
func (w *whose) at(remote netip.AddrPort) (id probe.PeerID) {
	if !remote.IsValid() {
		return 0
	}
	for _, p := range w.tunnel.Peers() {
		if p.Configured && p.Endpoint == remote {
			if id != 0 {
				return 0
			}
			id = p.ID
		}
	}
	return id
}

// heard takes in an initiation that came in at a device.
func (w *whose) heard(msg []byte) {
	p, ok := w.tunnel.Initiator(msg)
	if !ok {
		return
	}
	c := call(msg[4:tunnel.HeadLen])
	if len(w.read) == readKept {
		clear(w.read)
	}
	w.read[c] = p
	for i := 0; i < len(w.waiting); {
		if call(w.waiting[i].head[4:]) != c {
			i++
			continue
		}
		w.take(i).then(belongs{p, evidence.Authenticated})
	}
}

// take takes a packet that waits.
func (w *whose) take(i int) waiting {
	one := w.waiting[i]
	w.waiting = slices.Delete(w.waiting, i, i+1)
	return one
}

// late gives up on packets that have waited for too long.
func (w *whose) late(now time.Time) {
	for len(w.waiting) > 0 && now.Sub(w.waiting[0].since) > readTime {
		w.release()
	}
}

// end gives up on all packets that wait.
func (w *whose) end() {
	for len(w.waiting) > 0 {
		w.release()
	}
}

// release says of the packet that has waited longest that anybody could have sent it, unless
// this host has answered it meanwhile.
func (w *whose) release() {
	one := w.take(0)
	if p := w.tunnel.PeerOf(one.head[:], false); p != 0 {
		one.then(belongs{p, evidence.Secret})
		return
	}
	one.then(belongs{known: evidence.Claimed})
}
