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
	"github.com/wgnode/wgnode/tunnel"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

var (
	peerLabels   = []string{"interface", "public_key", "allowed_ips", "friendly_name"}
	deviceLabels = []string{"device", "public_key"}
	ownLabels    = []string{"interface", "public_key", "friendly_name"}

	sent      = counter("wireguard_sent_bytes_total", "Bytes sent to the peer, encrypted.", peerLabels...)
	received  = counter("wireguard_received_bytes_total", "Bytes received from the peer, encrypted.", peerLabels...)
	handshake = gauge("wireguard_latest_handshake_seconds",
		"When the current session with the peer began, in seconds since the epoch; 0 for never.", peerLabels...)

	deviceInfo = gauge("wireguard_device_info", "The interface and its own public key.", deviceLabels...)
	peerInfo   = gauge("wireguard_peer_info", "The peer with its name, AllowedIPs and current endpoint; always 1.", "device",
		"public_key", "endpoint", "allowed_ips", "name")
	peerReceive   = counter("wireguard_peer_receive_bytes_total", "Bytes received from the peer, encrypted.", deviceLabels...)
	peerTransmit  = counter("wireguard_peer_transmit_bytes_total", "Bytes sent to the peer, encrypted.", deviceLabels...)
	peerHandshake = gauge("wireguard_peer_last_handshake_seconds",
		"When the current session with the peer began, in seconds since the epoch; 0 for never.", deviceLabels...)

	checkpoints = counter("wgnode_checkpoint_packets_total",
		"Packets of flows and handshake messages that passed the checkpoint. A5 and B3 count once the packet is decrypted.",
		"interface", "checkpoint")
	drops = counter("wgnode_dropped_packets_total",
		"Dropped packets, by reason. Without a public_key they belong to no known peer.", "interface", "public_key", "friendly_name", "reason")
	failures = counter("wgnode_handshake_failures_total",
		"Failed handshakes, by reason. Without a public_key they belong to no known peer.", "interface", "public_key",
		"friendly_name", "reason")
	moves = counter("wgnode_endpoint_changes_total", "How often the peer's endpoint changed.", ownLabels...)

	ofTunnel = []*family{sent, received, handshake, deviceInfo, peerInfo, peerReceive, peerTransmit, peerHandshake, checkpoints, drops,
		failures, moves}
)

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
func (c *Collector) Describe(to chan<- *prometheus.Desc) { describe(to, ofTunnel) }

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	if err := c.write(emitTo(to)); err != nil {
		to <- prometheus.NewInvalidMetric(sent.desc, err)
	}
}

// write writes all down.
func (c *Collector) write(to emit) error {
	s := series{c, to}
	st, err := c.t.Status()
	if err != nil {
		return err
	}
	said := st.ByKey()
	to(deviceInfo, 1, c.name, st.PublicKey.Base64())
	passed := c.t.Recorder().Passed()
	// B5 and B6 are seams of a node without an interface that routes for its peers, and left
	// out of others, where they would say that nothing passes.
	for _, cp := range probe.Checkpoints("") {
		if passed[cp] == 0 && (cp == probe.B5 || cp == probe.B6) {
			continue
		}
		to(checkpoints, float64(passed[cp]), c.name, cp.String())
	}
	s.lost(c.t.PeerState(0), "", "")
	for _, ps := range c.t.Peers() {
		public := ps.Key.Base64()
		name := label(ps.Name, public)
		s.lost(ps, public, name)
		if p := said[ps.Key]; ps.Configured && p != nil {
			s.peer(p, public, name)
			to(moves, float64(ps.Moves), c.name, public, name)
		}
	}
	return nil
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

// series writes down what belongs to a peer.
type series struct {
	*Collector
	to emit
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
	sentBytes, receivedBytes := float64(p.TxBytes), float64(p.RxBytes)
	s.to(sent, sentBytes, s.name, public, allowed, name)
	s.to(received, receivedBytes, s.name, public, allowed, name)
	s.to(handshake, began, s.name, public, allowed, name)
	s.to(peerInfo, 1, s.name, public, at, allowed, name)
	s.to(peerReceive, receivedBytes, s.name, public)
	s.to(peerTransmit, sentBytes, s.name, public)
	s.to(peerHandshake, began, s.name, public)
}

// lost writes what of a peer went no further.
func (s *series) lost(ps tunnel.PeerState, public, name string) {
	for reason, n := range ps.Drops {
		s.to(drops, float64(n), s.name, public, name, reason.String())
		if failureReasons[reason] {
			s.to(failures, float64(n), s.name, public, name, reason.String())
		}
	}
	if ps.Unanswered > 0 {
		s.to(failures, float64(ps.Unanswered), s.name, public, name, noResponse)
	}
	if ps.GivenUp > 0 {
		s.to(failures, float64(ps.GivenUp), s.name, public, name, gaveUp)
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}
