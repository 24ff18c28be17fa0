package collect

import (
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// A peer's ladder shows one packet and its answer, not the latest of each checkpoint.
func TestExchange(t *testing.T) {
	const web, dead = "192.168.200.22:80", "192.168.200.23:80"
	request := func(seq uint64, port, target string) []probe.Event {
		in := packet(probe.SeamTUNRead, probe.A1, "10.0.0.1:"+port, target, probe.TCPSyn)
		in.Seq = seq
		m := in
		m.Kind, m.Seam, m.Checkpoint, m.Pair = probe.KindData, probe.SeamUDPSend, probe.A4, seq
		return []probe.Event{in, m}
	}
	reply := func(seq uint64, port, target string) []probe.Event {
		out := packet(probe.SeamTUNWrite, probe.A6, target, "10.0.0.1:"+port, probe.TCPSyn|probe.TCPAck)
		out.Pair = seq
		m := out
		m.Kind, m.Seam, m.Checkpoint, m.Seq, m.Pair = probe.KindData, probe.SeamUDPReceive, probe.A5, seq, 0
		return []probe.Event{m, out}
	}
	call := []probe.Event{{Kind: probe.KindInitiation, Seam: probe.SeamUDPSend, Checkpoint: probe.A2, Peer: 1}}
	for _, c := range []struct {
		name   string
		events [][]probe.Event
		port   uint16 // of the client that is shown
		full   bool
	}{
		{"answered", [][]probe.Event{request(1, "40001", web), reply(1, "40001", web)}, 40001, true},
		{"another asks later", [][]probe.Event{request(1, "40001", web), reply(1, "40001", web), request(2, "40002", dead)}, 40001, true},
		{"another asks meanwhile", [][]probe.Event{request(1, "40001", web), request(2, "40002", dead), reply(1, "40001", web)}, 40001, true},
		{"two answers", [][]probe.Event{request(1, "40001", web), request(2, "40002", web), reply(1, "40002", web), reply(2, "40001", web)},
			40001, true},
		{"answered before a handshake that goes on", [][]probe.Event{request(1, "40001", web), reply(1, "40001", web), call,
			request(2, "40002", web)}, 40002, false},
		{"answered while one goes on", [][]probe.Event{call, request(1, "40001", web), reply(1, "40001", web)}, 40001, true},
		{"no answer", [][]probe.Event{request(1, "40001", dead), request(2, "40002", dead)}, 40002, false},
	} {
		p := new(diagnose.Peer)
		col := &Collector{Peers: map[probe.PeerID]*diagnose.Peer{1: p}, Latest: true}
		at := time.Unix(1_700_000_000, 0)
		for _, pair := range c.events {
			for i := range pair {
				at = at.Add(time.Millisecond)
				pair[i].Time = at.UnixNano()
				col.Add(&pair[i])
			}
		}
		col.Exchanges()
		a1, a4, a5, a6 := p.Seen[probe.A1], p.Seen[probe.A4], p.Seen[probe.A5], p.Seen[probe.A6]
		if a1 == nil || a4 == nil || a1.InnerSrcPort != c.port || a4.Pair != a1.Seq || (a5 != nil) != c.full || (a6 != nil) != c.full {
			t.Errorf("%s: %+v, %+v, %+v, %+v", c.name, a1, a4, a5, a6)
			continue
		}
		if c.full && (a6.InnerDstPort != c.port || a5.Seq != a6.Pair) {
			t.Errorf("%s: answer %+v, %+v", c.name, a5, a6)
		}
	}
}
