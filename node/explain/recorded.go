package explain

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/diagnose/rules"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/recording"
)

// This file explains from a recording instead of a running node. The rules are the
// same; what only a live host can be asked (routes, rules, netfilter, whether a name
// resolves) is not known, and a verdict that it could have changed says so.

const (
	recordedKernel = "a recording does not hold what the kernel does with packets"
	recordedHost   = "the configuration on the host, its routes, rules and name servers: a recording does not hold them"
)

// recorded is a recording that has been read.
type recorded struct {
	meta  *recording.Meta
	facts *diagnose.Facts
	col   *collect.Collector
	end   time.Time // of its latest event: that is when the verdict is given
	drops map[probe.PeerID]map[string]uint64
	known int // peers of meta that are in the collector

	flow    *diagnose.Flow // nil: no flow in particular
	current connection     // that the flow is, of those that match
	seen    map[connection]bool
	kernel  recordedDrops
}

// connection tells those apart that go to one target: by the port that they come
// from, or the identifier of an ICMP echo.
type connection struct {
	from  netip.Addr
	port  uint16
	proto uint8
}

// connectionsKept bounds the memory for connections; a recording may have any number.
const connectionsKept = 1 << 16

// late is how much later in a recording than others of its time an event may come.
const late = time.Second

// read reads a recording to its end, or to where it was cut off, into facts and col. With until, what
// was later is left out, and that is when the verdict is given.
func read(r *recording.Reader, facts *diagnose.Facts, col *collect.Collector, until time.Time) (*recorded, error) {
	m := r.Meta()
	rec := &recorded{meta: m, drops: make(map[probe.PeerID]map[string]uint64), end: m.Clock.Started,
		facts: facts, col: col, flow: facts.Flow, known: len(m.Peers)}
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !until.IsZero() && p.Event.When().After(until) {
			if p.Event.When().After(until.Add(late)) {
				break
			}
			continue
		}
		m = r.Meta()
		if rec.meta = m; len(m.Peers) != rec.known {
			rec.known = len(m.Peers)
			collect.Meet(rec.col, collect.Recorded(m))
		}
		if p.Drop != nil {
			rec.addDrop(&p.Event, p.Drop)
		} else {
			rec.add(&p.Event)
		}
	}
	if !until.IsZero() {
		rec.end = until
	}
	for i := range m.Peers { // the handshakes that it does not hold
		p, earlier := rec.col.Peers[m.Peers[i].ID], m.Peers[i].Handshake
		if p != nil && earlier.After(p.Handshake.Established) && !earlier.After(rec.end) {
			p.Handshake.Established = earlier
		}
	}
	rec.facts.Kernel = blind(r)
	rec.facts.Kernel.ToTunnel, rec.facts.Kernel.FromTunnel = rec.kernel.flow.ToTunnel, rec.kernel.flow.FromTunnel
	rec.facts.Strangers = rec.col.Strangers
	return rec, nil
}

func (rec *recorded) add(e *probe.Event) {
	if t := e.When(); t.After(rec.end) {
		rec.end = t
	}
	if e.Dropped() {
		rec.count(e.Peer, e.Reason.String())
	}
	if p := rec.col.Peers[e.Peer]; p != nil && e.Kind == probe.KindEndpoint {
		_, p.Endpoint = e.Outer()
	}
	rec.col.Flow = rec.flow
	if c, ok := rec.connection(e); ok {
		rec.turn(c, e)
		if c != rec.current {
			rec.col.Flow = nil
		} else {
			rec.kernel.sends(e)
		}
	}
	rec.col.Add(e)
}

// turn goes on with a connection that is new: the latest is the one to explain.
func (rec *recorded) turn(c connection, e *probe.Event) {
	if rec.seen[c] {
		return
	}
	if rec.seen == nil || len(rec.seen) == connectionsKept {
		rec.seen = make(map[connection]bool)
	}
	rec.seen[c], rec.current = true, c
	rec.kernel.begin(e.When())
	*rec.flow = diagnose.Flow{Target: rec.flow.Target, UDP: rec.flow.UDP, Source: rec.flow.Source,
		Client: netip.AddrPortFrom(c.from, c.port)}
}

// connection finds out which connection to the target an event is of, if any.
func (rec *recorded) connection(e *probe.Event) (c connection, ok bool) {
	if rec.flow == nil {
		return c, false
	}
	src, dst := e.Inner()
	target := rec.flow.Target
	c.proto = e.Proto
	request, reply := e.ICMPEcho()
	echo := request || reply
	switch {
	case !src.Addr().IsValid() || !dst.Addr().IsValid() || echo != (target.Port() == 0):
		return c, false
	case dst.Addr() == target.Addr() && (echo || dst.Port() == target.Port()):
		c.from, c.port = src.Addr(), src.Port()
	case src.Addr() == target.Addr() && (echo || src.Port() == target.Port()):
		c.from, c.port = dst.Addr(), dst.Port()
	default:
		return c, false
	}
	if echo {
		c.port = e.InnerSrcPort // the identifier, both ways
	}
	return c, !rec.flow.Source.IsValid() || rec.flow.Source.Contains(c.from)
}

// ExplainRecording says what became of a flow in a recording: the latest to
// req.Target, from req.From if that is valid. Nothing is sent, and req's other fields do not
// count.
func ExplainRecording(r *recording.Reader, req Request) (*diagnose.Report, error) {
	q := newInquiry(collect.Recorded(r.Meta()), &req)
	rec, err := read(r, q.facts, q.col, time.Time{})
	if err != nil {
		return nil, err
	}
	q.know = collect.Recorded(rec.meta)
	q.decideSide()
	q.owner()
	q.facts.Kernel = rec.kernelOf(q.peer, rec.ofConnection)
	v, _ := rules.Judge(q.facts, rec.end)
	report := q.report(v, rec.end, rec.end)
	report.Findings, report.Unchecked = q.knocked(&v), []string{recordedHost}
	return report, nil
}

// knocked are findings beside a verdict that nothing was seen: one of them may be
// whom the flow would have come from.
func (q *inquiry) knocked(v *diagnose.Verdict) []diagnose.Finding {
	if v.Code != diagnose.Idle || q.facts.Side != probe.SideB {
		return nil
	}
	return rules.Strangers(q.facts, q.facts.Strangers)
}

// decideSide decides from the events of a flow who asked for it.
func (q *inquiry) decideSide() {
	q.behind = q.know.Lookup(q.flow.Target.Addr())
	a1, b4 := q.flow.Seen[probe.A1], q.flow.Seen[probe.B4]
	switch {
	case b4 != nil && a1 != nil:
		// It came from a peer, and went on to another.
		q.behind = a1.Peer
		q.passOn(b4.Peer)
	case b4 == nil && (a1 != nil || q.flow.Dropped != nil && q.flow.Dropped.Checkpoint == probe.A1 || q.droppedBefore()):
		q.facts.Side = probe.SideA
		q.choose(q.behind)
		if a1 != nil {
			q.choose(a1.Peer)
		}
		if q.facts.Peer == nil {
			q.facts.Nearest = nearest(q.col.Peers, q.flow.Target.Addr())
		}
	default:
		q.facts.Side = probe.SideB
		q.behind = 0
		if id := q.find(); id != 0 {
			q.passOn(id)
		}
	}
	q.elsewhere()
}

// droppedBefore reports whether the kernel has dropped the flow's packet on its way into the tunnel.
func (q *inquiry) droppedBefore() bool {
	d := q.facts.Kernel.On(evidence.ToTunnel).KernelDrop
	return d != nil && d.Dst.Addr() == q.flow.Target.Addr()
}

// DoctorRecording gives the verdict of each peer at the end of a recording.
func DoctorRecording(r *recording.Reader) (*diagnose.DoctorReport, error) {
	return DoctorRecordingAt(r, time.Time{})
}

// DoctorRecordingAt is DoctorRecording as of a time in it; zero: its end.
func DoctorRecordingAt(r *recording.Reader, at time.Time) (*diagnose.DoctorReport, error) {
	k := collect.Recorded(r.Meta())
	col := collect.CollectorFor(k)
	col.Latest = true
	rec, err := read(r, collect.FactsFrom(k), col, at)
	if err != nil {
		return nil, err
	}
	rec.col.Exchanges()
	report := &diagnose.DoctorReport{Interface: rec.meta.Interface, Level: rec.facts.Level, Drops: rec.drops[0],
		Unchecked: []string{recordedHost}}
	for i := range rec.meta.Peers {
		p := rec.col.Peers[rec.meta.Peers[i].ID]
		if !rec.meta.Peers[i].Configured {
			continue
		}
		of := *rec.facts
		of.Peer, of.Side = p, sideOf(p)
		of.Kernel = rec.kernelOf(rec.meta.Peers[i].ID, lasting(p))
		one := peerReport(&of, rec.end)
		one.Drops = rec.drops[rec.meta.Peers[i].ID]
		report.Peers = append(report.Peers, one)
	}
	report.Findings = rules.Strangers(rec.facts, rec.col.Strangers)
	return report, nil
}
