package eventlog

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/wgnode/wgnode/node/telemetry"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/timeline"
	"github.com/wgnode/wgnode/tunnel"
)

// The names of events.
const (
	nodeStarted      = "wgnode.node.started"
	nodeStopped      = "wgnode.node.stopped"
	peerState        = "wgnode.peer.state"
	peerRemoved      = "wgnode.peer.removed"
	peerEndpoint     = "wgnode.peer.endpoint"
	packetsDropped   = "wgnode.packets.dropped"
	handshakesFailed = "wgnode.handshakes.failed"
	firewallRestored = "wgnode.firewall.restored"
	reloaded         = "wgnode.reload"
)

// State tells what has become of a peer, or of the node: a line of its history. before is the line of
// the peer before it, nil if there is none.
func (l *Log) State(line, before *timeline.Line) {
	r := record{at: line.At, severity: log.SeverityInfo}
	switch line.What {
	case timeline.Started:
		r.name, r.body = nodeStarted, "the node has started"
	case timeline.Stopped:
		r.name, r.body = nodeStopped, "the node has stopped"
	case timeline.Removed:
		r.name, r.body = peerRemoved, "the peer was removed from the configuration"
		r.attrs = l.peer(line.Peer, line.Name)
	case timeline.Changed:
		r.name, r.severity = peerState, severityOf(line.State)
		r.body = line.Summary
		if l.node.Anonymize { // a summary has names and addresses in it
			doc, _ := line.Code.Doc()
			r.body = cmp.Or(doc.Title, string(line.Code))
		}
		r.attrs = append(l.peer(line.Peer, line.Name), attribute.String("wgnode.peer.state", string(line.State)),
			attribute.String("wgnode.verdict.code", string(line.Code)), attribute.Bool("wgnode.verdict.certain", line.Certain))
		if before != nil {
			r.attrs = append(r.attrs, attribute.String("wgnode.peer.state.previous", string(before.State)))
		}
		if line.Checkpoint != "" { // of faults alone
			r.attrs = append(r.attrs, attribute.String("wgnode.checkpoint", line.Checkpoint), attribute.String("error.type", string(line.Code)))
		}
	default:
		return
	}
	l.emit(r)
}

func severityOf(s diagnose.State) log.Severity {
	switch s {
	case diagnose.StateFailing:
		return log.SeverityError
	case diagnose.StateDegraded:
		return log.SeverityWarn
	}
	return log.SeverityInfo
}

// peer are the attributes of a peer, as spans have them. With anonymize it is known by the id of the
// instance alone, by which the peer calls itself.
func (l *Log) peer(k key.Public, name string) []attribute.KeyValue {
	if k == (key.Public{}) {
		return nil
	}
	attrs := []attribute.KeyValue{attribute.String("wgnode.peer.instance_id", telemetry.Node{PublicKey: k}.InstanceID())}
	if l.node.Anonymize {
		return attrs
	}
	attrs = append(attrs, attribute.String("wgnode.peer.public_key", k.Base64()))
	if name != "" {
		attrs = append(attrs, attribute.String("wgnode.peer.name", name))
	}
	return attrs
}

// Reloaded tells of a reload, and why it has changed nothing if err is not nil.
func (l *Log) Reloaded(at time.Time, err error) {
	r := record{at: at, name: reloaded, severity: log.SeverityInfo, body: "the configuration was read again"}
	if err != nil {
		r.severity, r.body = log.SeverityError, "the configuration could not be taken, and nothing was changed"
		r.attrs = []attribute.KeyValue{attribute.String("error.type", "reload")}
		if !l.node.Anonymize {
			r.attrs = append(r.attrs, attribute.String("error.message", err.Error()))
		}
	}
	l.emit(r)
}

// Seen is what there is to see of a tunnel at a time.
type Seen struct {
	At    time.Time
	Peers []tunnel.PeerState // the one without a key has what is of nobody
	// Restored is how often each table of the firewall was put back.
	Restored map[string]uint64
}

// seenPeer is what was told of a peer last.
type seenPeer struct {
	endpoint            netip.AddrPort
	moves               uint64
	drops               map[probe.Reason]uint64
	unanswered, givenUp uint64
}

// differ tells what differs between two looks. What was told before the first one is nothing.
type differ struct {
	log      *Log
	peers    map[probe.PeerID]seenPeer
	restored map[string]uint64
}

func (d *differ) look(s Seen) {
	first := d.peers == nil
	now := make(map[probe.PeerID]seenPeer, len(s.Peers))
	for i := range s.Peers {
		p := &s.Peers[i]
		seen := seenPeer{p.Endpoint, p.Moves, maps.Clone(p.Drops), p.Unanswered, p.GivenUp}
		now[p.ID] = seen
		if !first {
			d.peer(s.At, p, d.peers[p.ID])
		}
	}
	d.peers = now
	for _, table := range slices.Sorted(maps.Keys(s.Restored)) {
		if n := s.Restored[table]; n > d.restored[table] {
			d.log.emit(record{s.At, firewallRestored, log.SeverityError, "another program changed the table, which was put back",
				[]attribute.KeyValue{attribute.String("wgnode.firewall.table", table), attribute.Int64("wgnode.count", int64(n-d.restored[table]))}})
		}
	}
	d.restored = maps.Clone(s.Restored)
}

func (d *differ) peer(at time.Time, p *tunnel.PeerState, before seenPeer) {
	who := func() []attribute.KeyValue { return d.log.peer(p.Key, p.Name) }
	if p.Moves > before.moves && p.Endpoint.IsValid() {
		attrs := append(who(), attribute.Int64("wgnode.count", int64(p.Moves-before.moves)))
		if !d.log.node.Anonymize {
			attrs = append(attrs, attribute.String("network.peer.address", p.Endpoint.Addr().String()),
				attribute.Int("network.peer.port", int(p.Endpoint.Port())))
			if before.endpoint.IsValid() {
				attrs = append(attrs, attribute.String("wgnode.peer.endpoint.previous", before.endpoint.String()))
			}
		}
		d.log.emit(record{at, peerEndpoint, log.SeverityInfo, "the peer's endpoint has moved", attrs})
	}
	for _, reason := range slices.Sorted(maps.Keys(p.Drops)) {
		if n := p.Drops[reason]; n > before.drops[reason] {
			severity := log.SeverityWarn
			if reason == probe.LinkScope { // which is no trouble: each host sends such by itself
				severity = log.SeverityInfo
			}
			d.counted(at, severity, packetsDropped, "packets were dropped: "+reason.String(), reason.String(), n-before.drops[reason], who())
		}
	}
	if n := p.Unanswered - before.unanswered; p.Unanswered > before.unanswered {
		d.counted(at, log.SeverityWarn, handshakesFailed, "initiations were not answered", "no-response", n, who())
	}
	if n := p.GivenUp - before.givenUp; p.GivenUp > before.givenUp {
		d.counted(at, log.SeverityWarn, handshakesFailed, "handshakes were given up", "handshake-gave-up", n, who())
	}
}

func (d *differ) counted(at time.Time, severity log.Severity, name, body, reason string, n uint64, who []attribute.KeyValue) {
	d.log.emit(record{at, name, severity, fmt.Sprintf("%s (%d)", body, n),
		append(who, attribute.String("error.type", reason), attribute.Int64("wgnode.count", int64(n)))})
}
