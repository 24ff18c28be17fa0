// Package metrics shows a tunnel to Prometheus.
//
// Two families of names are those of the exporters that dashboards were made
// for: wireguard_sent_bytes_total and its like, of prometheus_wireguard_exporter,
// with the labels interface, public_key, allowed_ips and friendly_name; and
// wireguard_peer_receive_bytes_total and its like, of wireguard_exporter, whose
// peers have the labels device and public_key, and are joined with
// wireguard_peer_info for the rest. What only this program knows is called
// wgnode_, with the labels of the first family.
//
// Everything is read when somebody asks. Nothing is counted for it on the way of
// a packet that would not be counted otherwise. [Verdicts] come from a doctor.
//
// # Many peers
//
// A peer has nine series that are always there, so ten thousand have 90,000.
// Its drops and failures have one for each reason that has occurred.
package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

var (
	peerLabels   = []string{"interface", "public_key", "allowed_ips", "friendly_name"}
	deviceLabels = []string{"device", "public_key"}
	ownLabels    = []string{"interface", "public_key", "friendly_name"}

	sent      = desc("wireguard_sent_bytes_total", "Bytes sent to the peer, encrypted.", peerLabels...)
	received  = desc("wireguard_received_bytes_total", "Bytes received from the peer, encrypted.", peerLabels...)
	handshake = desc("wireguard_latest_handshake_seconds",
		"When the current session with the peer began, in seconds since the epoch; 0 for never.", peerLabels...)

	deviceInfo = desc("wireguard_device_info", "The interface and its own public key.", deviceLabels...)
	peerInfo   = desc("wireguard_peer_info", "The peer with its name, AllowedIPs and present endpoint.", "device",
		"public_key", "endpoint", "allowed_ips", "name")
	peerReceive   = desc("wireguard_peer_receive_bytes_total", "Bytes received from the peer, encrypted.", deviceLabels...)
	peerTransmit  = desc("wireguard_peer_transmit_bytes_total", "Bytes sent to the peer, encrypted.", deviceLabels...)
	peerHandshake = desc("wireguard_peer_last_handshake_seconds",
		"When the current session with the peer began, in seconds since the epoch; 0 for never.", deviceLabels...)

	checkpoints = desc("wgnode_checkpoint_packets_total",
		"Packets of flows and handshake messages that passed the checkpoint. A5 and B3 count once the packet is decrypted.",
		"interface", "checkpoint")
	drops = desc("wgnode_dropped_packets_total",
		"Packets that went no further, by reason. Without a public_key they are no peer's.", "interface", "public_key", "friendly_name", "reason")
	failures = desc("wgnode_handshake_failures_total",
		"Handshakes that came to nothing, by reason. Without a public_key they are no peer's.", "interface", "public_key",
		"friendly_name", "reason")
	moves = desc("wgnode_endpoint_changes_total", "How often the peer's endpoint became another one.", ownLabels...)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Reasons of failures that are no drops of a packet. The first is also the code
// of the verdict, the other the reason for which what waited was dropped.
const (
	noResponse = "no-response"
	gaveUp     = "handshake-gave-up"
)

// failureReasons are why a handshake message goes no further.
var failureReasons = map[probe.Reason]bool{
	probe.InvalidMAC1: true, probe.UnknownPeer: true, probe.InvalidInitiation: true, probe.HandshakeReplay: true,
	probe.HandshakeFlood: true, probe.UnderLoad: true, probe.ResponseRejected: true, probe.ResponseStale: true,
	probe.CookieRejected: true,
}

// Collector is a tunnel as Prometheus sees it. It may be asked by several at a
// time.
type Collector struct {
	name string
	t    explain.Tunnel
}

// New returns the collector of a tunnel, which goes by the name of its interface.
func New(name string, t explain.Tunnel) *Collector { return &Collector{name, t} }

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sent, received, handshake, deviceInfo, peerInfo, peerReceive, peerTransmit,
		peerHandshake, checkpoints, drops, failures, moves} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	s := series{c, to}
	st, err := c.t.Status()
	if err != nil {
		to <- prometheus.NewInvalidMetric(sent, err)
		return
	}
	said := make(map[key.Public]*uapi.PeerStatus, len(st.Peers))
	for i := range st.Peers {
		said[st.Peers[i].PublicKey] = &st.Peers[i]
	}
	s.gauge(deviceInfo, 1, c.name, st.PublicKey.Base64())
	passed := c.t.Recorder().Passed()
	// B5 and B6 are seams of a node without an interface that routes for its peers, and left
	// out of others, where they would say that nothing passes.
	for _, cp := range probe.Checkpoints("") {
		if passed[cp] == 0 && (cp == probe.B5 || cp == probe.B6) {
			continue
		}
		s.count(checkpoints, passed[cp], c.name, cp.String())
	}
	s.lost(c.t.PeerState(0), "", "")
	for _, ps := range c.t.Peers() {
		public := ps.Key.Base64()
		name := label(ps.Name, public)
		s.lost(ps, public, name)
		if p := said[ps.Key]; ps.Configured && p != nil {
			s.peer(p, public, name)
			s.count(moves, ps.Moves, c.name, public, name)
		}
	}
}

// keyPrefix is how many characters of a key stand for a peer without a name.
const keyPrefix = 8

// label is what a dashboard calls a peer: its name or the beginning of its key. Empty,
// the peers without a name would be one line in a legend, and none in an alert.
func label(name, public string) string {
	if name == "" {
		return public[:min(keyPrefix, len(public))]
	}
	return strings.ToValidUTF8(name, "\ufffd")
}

// series writes down single values.
type series struct {
	*Collector
	to chan<- prometheus.Metric
}

func (s *series) count(d *prometheus.Desc, n uint64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s *series) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// peer writes what the device says of a peer.
func (s *series) peer(p *uapi.PeerStatus, public, name string) {
	prefixes := make([]string, len(p.AllowedIPs))
	for i, prefix := range p.AllowedIPs {
		prefixes[i] = prefix.String()
	}
	allowed, at, began := strings.Join(prefixes, ","), "", seconds(p.LastHandshake)
	if p.Endpoint.IsValid() {
		at = p.Endpoint.String()
	}
	s.count(sent, p.TxBytes, s.name, public, allowed, name)
	s.count(received, p.RxBytes, s.name, public, allowed, name)
	s.gauge(handshake, began, s.name, public, allowed, name)
	s.gauge(peerInfo, 1, s.name, public, at, allowed, name)
	s.count(peerReceive, p.RxBytes, s.name, public)
	s.count(peerTransmit, p.TxBytes, s.name, public)
	s.gauge(peerHandshake, began, s.name, public)
}

// lost writes what of a peer went no further.
func (s *series) lost(ps tunnel.PeerState, public, name string) {
	for reason, n := range ps.Drops {
		s.count(drops, n, s.name, public, name, reason.String())
		if failureReasons[reason] {
			s.count(failures, n, s.name, public, name, reason.String())
		}
	}
	if ps.Unanswered > 0 {
		s.count(failures, ps.Unanswered, s.name, public, name, noResponse)
	}
	if ps.GivenUp > 0 {
		s.count(failures, ps.GivenUp, s.name, public, name, gaveUp)
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}
