package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Meta says where a recording comes from. It holds no secrets.
type Meta struct {
	// Format is the version of the rest, up to [Format]. A Writer sets it; in what a node
	// sends it is 0 in place of 1.
	Format int `json:"format"`
	// ID tells this recording from every other. The parts of one that was divided
	// share it; Part counts them from 0.
	ID         uint64     `json:"id,string"`
	Part       int        `json:"part,omitempty"`
	Version    string     `json:"version"` // of wgnode, as "wgnode version" prints it
	Host       string     `json:"host"`
	Interface  string     `json:"interface"`
	Config     string     `json:"config,omitempty"` // path of the node's configuration
	PublicKey  key.Public `json:"public_key"`
	ListenPort uint16     `json:"listen_port"`
	FwMark     uint32     `json:"fwmark,omitempty"`
	// Kernel: the interface is the host's. Otherwise the tunnel ends in a
	// network stack inside the process.
	Kernel bool `json:"kernel"`
	// Level is how much the events tell of the tunnel's packets; "", as older releases wrote,
	// is that of wgnode's own device.
	Level probe.Level `json:"level,omitempty"`
	Clock Clock       `json:"clock"`
	// Drops: what the kernel of the host drops of the tunnel's packets is among the events.
	Drops bool `json:"drops,omitempty"`
	// Addrs are the host's own addresses.
	Addrs []netip.Addr `json:"addrs,omitempty"`
	// Filter is what was asked for, in the words of `watch`; empty: everything.
	Filter []string `json:"filter,omitempty"`
	// Snaplen is how many bytes of each packet were kept: [Headers], or 0 for all.
	Snaplen int    `json:"snaplen"`
	Peers   []Peer `json:"peers"`

	index map[probe.PeerID]int // into Peers; may be behind
}

// Headers as a Snaplen keeps the headers of each packet and nothing of its
// content. Handshake messages, which have none, are kept whole.
const Headers = -1

// Clock says how the times of a recording relate to other clocks. All are of
// one instant, when the recording was begun.
type Clock struct {
	Started   time.Time `json:"started"`          // wall clock
	Monotonic int64     `json:"monotonic"`        // CLOCK_MONOTONIC, nanoseconds
	Source    string    `json:"source,omitempty"` // the kernel's clock source, such as "tsc"
	// Synchronized: the kernel says that its clock is kept right, to MaxError
	// nanoseconds (adjtimex(2)).
	Synchronized bool  `json:"synchronized"`
	MaxError     int64 `json:"max_error,omitempty"`
}

// Peer is one peer of the node, also one that was removed.
type Peer struct {
	ID         probe.PeerID   `json:"id"` // as events name it
	PublicKey  key.Public     `json:"public_key"`
	Name       string         `json:"name,omitempty"`
	Configured bool           `json:"configured"`
	AllowedIPs []netip.Prefix `json:"allowed_ips,omitempty"`
	// Endpoint, where it was written down (perhaps a name), and the latest
	// completed handshake are those of the recording's beginning.
	Endpoint  netip.AddrPort `json:"endpoint,omitzero"`
	Written   string         `json:"written,omitempty"`
	Handshake time.Time      `json:"handshake,omitzero"`
}

// Peer resolves an ID as the recording's events hold it, and reports whether
// there is such a peer. It makes Meta a source of names for package eventtext. It is
// not safe for concurrent use.
func (m *Meta) Peer(id probe.PeerID) (k key.Public, name string, ok bool) {
	if m.index == nil || len(m.index) > len(m.Peers) {
		m.index = make(map[probe.PeerID]int, len(m.Peers))
	}
	for i := len(m.index); i < len(m.Peers); i++ {
		m.index[m.Peers[i].ID] = i
	}
	i, ok := m.index[id]
	if !ok {
		return k, "", false
	}
	return m.Peers[i].PublicKey, m.Peers[i].Name, true
}

// maxPeers and maxMeta bound what a file can make of a Meta: the peers that a device
// takes, and the bytes of the JSON.
const (
	maxPeers = 1 << 16
	maxMeta  = 4 << 20
)

// parseMeta reads the description in a file, which may be hostile: text that is short
// must not become much memory.
func parseMeta(text []byte) (*Meta, error) {
	if len(text) > maxMeta {
		return nil, fmt.Errorf("%d bytes, more than %d", len(text), maxMeta)
	}
	type plain Meta
	m := new(Meta)
	with := struct {
		*plain
		Peers peerList `json:"peers"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(text, &with); err != nil {
		return nil, err
	}
	m.Peers = with.Peers
	return m, nil
}

// peerList is read one by one, and no more of them than a device has.
type peerList []Peer

func (l *peerList) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil // a node without peers
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.Join(errors.New("peers are no list"), err)
	}
	for d.More() {
		if len(*l) == maxPeers {
			return fmt.Errorf("more than %d peers", maxPeers)
		}
		var p Peer
		if err := d.Decode(&p); err != nil {
			return err
		}
		*l = append(*l, p)
	}
	return nil
}

// add takes a peer that came later.
func (m *Meta) add(p Peer) {
	if _, _, ok := m.Peer(p.ID); !ok && len(m.Peers) < maxPeers {
		m.Peers = append(m.Peers, p)
	}
}
