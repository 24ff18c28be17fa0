package merge

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// world makes the events that hosts would record: a true time that nobody knows,
// and for each host a clock and a recording.
type world struct {
	t     testing.TB
	hosts []*simHost
	rand  *rand.Rand
	now   int64 // true time in nanoseconds
	delay func() int64
	index uint32
}

type simHost struct {
	name  string
	meta  recording.Meta
	end   ending
	clock func(int64) int64
	seq   [8]uint64
	log   []logged
}

type logged struct {
	probe.Event
	lost uint64
	drop *recording.Drop // not nil: the kernel has dropped it
}

const second = int64(time.Second)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()

func newWorld(t testing.TB, names ...string) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(1, 2)), now: epoch, index: 1000}
	w.delay = func() int64 { return 2e6 + w.rand.Int64N(1e6) }
	for i, name := range names {
		h := &simHost{name: name, clock: func(t int64) int64 { return t }}
		h.meta = recording.Meta{Host: name, Interface: "wg0", ListenPort: uint16(51820 + i), PublicKey: simKey(i)}
		h.meta.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)})}
		w.hosts = append(w.hosts, h)
	}
	for i, h := range w.hosts {
		for j, o := range w.hosts {
			if i != j {
				h.meta.Peers = append(h.meta.Peers, recording.Peer{ID: probe.PeerID(j + 1), PublicKey: simKey(j), Name: o.name,
					AllowedIPs: []netip.Prefix{netip.PrefixFrom(simInner(j), 32)}, Endpoint: netip.AddrPortFrom(o.meta.Addrs[0], o.meta.ListenPort)})
			}
		}
	}
	return w
}

func simKey(i int) (k key.Public) {
	k[0], k[31] = byte(i+1), 7
	return k
}

func simInner(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}) }

// start begins all recordings at the present, end ends them.
func (w *world) start() {
	for _, h := range w.hosts {
		h.meta.Clock.Started = time.Unix(0, h.clock(w.now))
	}
}

func (w *world) end() {
	for _, h := range w.hosts {
		h.end.at = time.Unix(0, h.clock(w.now))
	}
}

func (w *world) log(i int, at int64, e probe.Event) {
	h := w.hosts[i]
	e.Time = h.clock(at)
	h.seq[e.Seam]++
	e.Seq = h.seq[e.Seam]
	if e.PrefixBits == 0 {
		e.PrefixBits = probe.NoPrefix
	}
	h.log = append(h.log, logged{Event: e})
}

// fate is what is to become of a message.
type fate struct {
	lost, twice bool
	late        int64 // further delay
	from        netip.AddrPort
	reason      probe.Reason // the receiver's
	unseen      bool         // the receiver's recorder loses it
}

// message lets host i send e to host j; e has the numbers. It returns when it
// arrived, in true time.
func (w *world) message(i, j int, e probe.Event, cps [2]probe.Checkpoint, f fate) int64 {
	a, b := w.hosts[i], w.hosts[j]
	sent := e
	sent.Seam, sent.Checkpoint = probe.SeamUDPSend, cps[0]
	if sent.Peer == 0 {
		sent.Peer = probe.PeerID(j + 1)
	}
	sent.OuterDst, sent.OuterDstPort, sent.OuterSrcPort = probe.AddrFrom(b.meta.Addrs[0]), b.meta.ListenPort, a.meta.ListenPort
	w.log(i, w.now, sent)
	at := w.now + w.delay() + f.late
	if f.lost {
		return at
	}
	got := e
	got.Pair = 0
	got.Seam, got.Checkpoint, got.Peer, got.Reason = probe.SeamUDPReceive, cps[1], probe.PeerID(i+1), f.reason
	if f.reason == probe.InvalidMAC1 || f.reason == probe.UnknownPeer || f.reason == probe.UnknownIndex {
		got.Peer = 0
	}
	from := f.from
	if !from.IsValid() {
		from = netip.AddrPortFrom(a.meta.Addrs[0], a.meta.ListenPort)
	}
	got.OuterSrc, got.OuterSrcPort, got.OuterDstPort = probe.AddrFrom(from.Addr()), from.Port(), b.meta.ListenPort
	if f.unseen {
		return at
	}
	w.log(j, at, got)
	if f.twice {
		w.log(j, at+5e5, got)
	}
	return at
}

// wgSession is an established session from host i, which began it, to host j.
type wgSession struct {
	w            *world
	i, j         int
	toJ, toI     uint32 // receiver indices
	nextJ, nextI uint64
}

// shake lets host i begin a session with j.
func (w *world) shake(i, j int) *wgSession {
	w.index += 2
	s := &wgSession{w: w, i: i, j: j, toI: w.index, toJ: w.index + 1}
	begin := w.now
	w.now = w.call(i, j, s.toI, fate{})
	w.now += 3e5
	w.now = w.answer(j, i, s.toJ, s.toI, fate{})
	w.log(i, w.now, probe.Event{Seam: probe.SeamDevice, Kind: probe.KindResponse, Checkpoint: probe.A3, Peer: probe.PeerID(j + 1)})
	_ = begin
	w.now += 1e5
	return s
}

func (w *world) call(i, j int, sender uint32, f fate) int64 {
	return w.message(i, j, probe.Event{Kind: probe.KindInitiation, Sender: sender, OuterLen: 148}, [2]probe.Checkpoint{probe.A2, probe.B1}, f)
}

func (w *world) answer(i, j int, sender, receiver uint32, f fate) int64 {
	e := probe.Event{Kind: probe.KindResponse, Sender: sender, Receiver: receiver, OuterLen: 92}
	return w.message(i, j, e, [2]probe.Checkpoint{probe.B2, probe.A3}, f)
}

// packet is an inner packet from host i's tunnel address to j's.
func packet(i, j int, sport, dport uint16, flags uint8) probe.Event {
	return probe.Event{InnerSrc: probe.AddrFrom(simInner(i)), InnerDst: probe.AddrFrom(simInner(j)), InnerSrcPort: sport, InnerDstPort: dport,
		Proto: probe.ProtoTCP, Info: flags, InnerLen: 60}
}

// data lets host i send an inner packet; asks says that i is the flow's A. It
// returns the counter that the packet had.
func (s *wgSession) data(i int, p probe.Event, asks bool, f fate) uint64 {
	w, j := s.w, s.j
	receiver, counter := s.toJ, &s.nextJ
	if i == s.j {
		j, receiver, counter = s.i, s.toI, &s.nextI
	}
	n := *counter
	*counter++
	cps := [4]probe.Checkpoint{probe.A1, probe.A4, probe.B3, probe.B4}
	if !asks {
		cps = [4]probe.Checkpoint{probe.B7, probe.B8, probe.A5, probe.A6}
	}
	in := p
	in.Seam, in.Kind, in.Checkpoint, in.Peer = probe.SeamTUNRead, probe.KindInner, cps[0], probe.PeerID(j+1)
	w.log(i, w.now, in)
	e := p
	if p.Flags&probe.FlagQuotes != 0 { // of which messages do not tell
		e.Flags, e.Sender, e.OuterDst, e.OuterDstPort = p.Flags&^probe.FlagQuotes, 0, probe.Addr{}, 0
	}
	e.Pair = w.hosts[i].seq[probe.SeamTUNRead]
	e.Kind, e.Receiver, e.Counter, e.OuterLen = probe.KindData, receiver, n, 96
	at := w.message(i, j, e, [2]probe.Checkpoint{cps[1], cps[2]}, f)
	if f.lost || f.reason != probe.ReasonNone {
		return n
	}
	out := p
	out.Seam, out.Kind, out.Checkpoint = probe.SeamTUNWrite, probe.KindInner, cps[3]
	out.Peer, out.Receiver, out.Counter = probe.PeerID(i+1), receiver, n
	if !f.unseen {
		w.log(j, at+1e4, out)
	}
	return n
}

// sliceSource reads a recording from memory.
type sliceSource struct {
	events []logged
	next   int
	end    ending
}

func (s *sliceSource) Next() (*probe.Event, *recording.Drop, uint64, error) {
	if s.next == len(s.events) {
		return nil, nil, 0, io.EOF
	}
	s.next++
	l := &s.events[s.next-1]
	return &l.Event, l.drop, l.lost, nil
}

func (s *sliceSource) Ending() ending { return s.end }

func (s *sliceSource) Close() error { return nil }

// recordings are what the hosts recorded.
func (w *world) recordings() []recorded {
	var recs []recorded
	for _, h := range w.hosts {
		slices.SortStableFunc(h.log, func(a, b logged) int { return int(min(max(a.Time-b.Time, -1), 1)) })
		recs = append(recs, recorded{name: h.name + ".pcapng", meta: h.meta, open: func() (source, error) {
			return &sliceSource{events: h.log, end: h.end}, nil
		}})
	}
	return recs
}

func (w *world) merge() *Result {
	w.t.Helper()
	r, err := merge(w.t.Context(), w.recordings(), Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// skewed is a clock that is off, and runs faster by so many parts per million.
func skewed(off time.Duration, ppm float64) func(int64) int64 {
	return func(t int64) int64 { return t + int64(off) + int64(float64(t-epoch)*ppm/1e6) }
}
