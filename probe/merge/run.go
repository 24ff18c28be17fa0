package merge

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose/collect"
	"github.com/wgnode/wgnode/probe/key"
)

// Options narrow a merge.
type Options struct {
	// Target selects flows: those to this address, and this port unless it is 0.
	// Invalid: all. Messages are counted whatever flow they are of.
	Target netip.AddrPort
	// Since leaves out of flows what passed before, by the first file's clock; zero: nothing.
	// Handshakes and messages count all the same.
	Since time.Time
}

// merger is one run of Merge.
type merger struct {
	opt   Options
	hosts []*host
	keys  map[key.Public]int32 // numbers of public keys, from 1
	names []string             // of keys, as some host calls them
	of    []int8               // which host has the key; -1: none
	pairs map[[2]int8]*pair

	now       int64 // reference time, which never goes back
	since     int64 // what passed before is left out of flows
	transits  *transits
	crowded   uint64 // messages forgotten before the window was over
	sessions  map[sessionKey]*session
	latest    *session
	latestKey sessionKey

	legs  map[[2]int8]*[whats]Leg
	shook map[[2]int8]*recent // by initiator and responder
	nat   map[[2]int8]*Translation
	trips map[[2]int8]int64 // shortest round trip of handshakes

	hops     map[hopKey]*hop
	asked    map[askedKey]*hop
	lastHop  *hop
	hopsLeft int
	calls    map[[2]int8][]*Arrow // handshakes, for the picture

	drops     []*Dropped           // by kernels
	droppedAt map[message]*Dropped // of them the messages
	dropsLeft uint64

	lost     []Lost
	lostAt   map[message]int
	lostLeft uint64
}

// Merge puts the recordings in files together, several hosts' or the parts of one. The
// clock of the first one is the reference. The error names the recording that cannot be
// read, which wraps [recording.ErrForeign] if it is something else, or says why they do
// not belong together.
func Merge(ctx context.Context, paths []string, opt Options) (*Result, error) {
	recs, err := openAll(paths)
	if err != nil {
		return nil, err
	}
	return merge(ctx, recs, opt)
}

func merge(ctx context.Context, recs []recorded, opt Options) (*Result, error) {
	if err := check(recs); err != nil {
		return nil, err
	}
	m := newMerger(recs, opt)
	for _, h := range m.hosts {
		if err := m.scan(ctx, h); err != nil {
			return nil, err
		}
	}
	m.meet()
	m.align()
	if err := m.related(); err != nil {
		return nil, err
	}
	if err := m.join(ctx); err != nil {
		return nil, err
	}
	return m.result(), nil
}

func newMerger(recs []recorded, opt Options) *merger {
	m := &merger{opt: opt, keys: make(map[key.Public]int32), names: []string{""}, of: []int8{-1}, pairs: make(map[[2]int8]*pair),
		now: math.MinInt64, since: math.MinInt64,
		transits: newTransits(), sessions: make(map[sessionKey]*session), legs: make(map[[2]int8]*[whats]Leg),
		shook: make(map[[2]int8]*recent), nat: make(map[[2]int8]*Translation), trips: make(map[[2]int8]int64), hops: make(map[hopKey]*hop),
		asked: make(map[askedKey]*hop), calls: make(map[[2]int8][]*Arrow), lostAt: make(map[message]int),
		droppedAt: make(map[message]*Dropped)}
	if !opt.Since.IsZero() {
		m.since = opt.Since.UnixNano()
	}
	for i := range recs {
		r := &recs[i]
		h := &host{Meta: r.meta, rec: r, name: r.meta.Host, index: int8(i), others: make(map[probe.PeerID]int8),
			keys: make(map[probe.PeerID]int32), batches: make(map[probe.PeerID]*batch), quiet: make(map[probe.PeerID]bool)}
		for k := 2; slices.ContainsFunc(m.hosts, func(o *host) bool { return o.label() == h.name }); k++ {
			h.name = fmt.Sprintf("%s (%d)", r.meta.Host, k) // two of one name
		}
		h.self = m.number(h.PublicKey, h.label())
		m.of[h.self] = h.index
		m.hosts = append(m.hosts, h)
	}
	m.meet()
	return m
}

// meet finds which recordings each host's peers are.
func (m *merger) meet() {
	for _, h := range m.hosts {
		h.facts = collect.CollectorFor(collect.Recorded(&h.Meta))
		for i := range h.Peers {
			p := &h.Peers[i]
			n := m.number(p.PublicKey, p.Name)
			h.keys[p.ID], h.others[p.ID] = n, m.of[n]
		}
	}
}

// number gives a public key its number.
func (m *merger) number(k key.Public, name string) int32 {
	n, ok := m.keys[k]
	if !ok {
		n = int32(len(m.names))
		m.keys[k] = n
		m.names = append(m.names, name)
		m.of = append(m.of, -1)
	}
	if m.names[n] == "" {
		m.names[n] = name
	}
	return n
}

func (m *merger) hostOf(key int32) int8 { return m.of[key] }

// related refuses recordings that have neither a message nor a peer in common, nor lie behind
// one peer, or have no time in common.
func (m *merger) related() error {
	if len(m.pairs) > 0 {
		return nil
	}
	known := false
	for _, a := range m.hosts {
		for _, b := range m.hosts {
			known = known || a != b && a.knows(b.PublicKey)
			if _, shared := m.between(a, b); a != b && shared {
				known = true
			}
		}
	}
	if !known {
		a, b := m.hosts[0], m.hosts[1]
		return fmt.Errorf("merge %s and %s: %w: no message is in both, and neither %s nor %s is a peer of the other; "+
			"nor has either a peer that both have",
			a.rec.name, b.rec.name, errUnrelated, a.label(), b.label())
	}
	return m.overlap()
}

// join is the second pass.
func (m *merger) join(ctx context.Context) error {
	defer func() {
		for _, h := range m.hosts {
			if h.src != nil {
				_ = h.src.Close() // it was only read
			}
		}
	}()
	for _, h := range m.hosts {
		h.begins, h.ends = h.start(), h.end()
		h.before = h.begins
		src, err := h.rec.open()
		if err != nil {
			return fmt.Errorf("read %s: %w", h.rec.name, err)
		}
		h.src = src
		if err := h.advance(); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		h := m.earliest()
		if h == nil {
			break
		}
		if h.headAt > m.now {
			m.now = h.headAt
			m.expire()
		}
		if h.headDrop != nil {
			m.dropped(h, h.head, h.headDrop)
		} else {
			m.event(h, h.head)
		}
		if err := h.advance(); err != nil {
			return err
		}
	}
	m.now = math.MaxInt64 / 2
	m.expire()
	m.dropsOfFlows()
	return nil
}

// earliest is the host whose next event is the oldest.
func (m *merger) earliest() *host {
	var first *host
	for _, h := range m.hosts {
		if h.head != nil && (first == nil || h.headAt < first.headAt) {
			first = h
		}
	}
	return first
}

// expire settles what has been under way for longer than the window.
func (m *merger) expire() {
	for t := m.transits.oldest(); t != nil && t.since < m.now-int64(window); t = m.transits.oldest() {
		m.settle(t)
		m.transits.drop()
	}
}

// event takes one event into account.
func (m *merger) event(h *host, e *probe.Event) {
	h.witness(e)
	f, forth := m.flowOf(h, e)
	if f != nil {
		f.see(h, e, forth, h.headAt)
	}
	if e.Seam == probe.SeamDevice {
		m.said(h, e, f)
		return
	}
	k, ok := messageOf(e)
	if !ok {
		return
	}
	if e.Seam == probe.SeamUDPSend {
		m.sent(h, e, k, f, forth)
	} else {
		m.got(h, e, k, f, forth)
	}
}
