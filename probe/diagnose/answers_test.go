package diagnose_test

import (
	"net/netip"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// step is a packet of a flow.
type step struct {
	forth bool
	e     probe.Event
}

func step0(forth bool, proto, info uint8, client, server uint16) step {
	c, s := probe.AddrFrom(netip.MustParseAddr("10.0.0.1")), probe.AddrFrom(netip.MustParseAddr("10.0.0.2"))
	e := probe.Event{Seam: probe.SeamTUNRead, Kind: probe.KindInner, Checkpoint: probe.A1, Proto: proto, Info: info, InnerLen: 60,
		InnerSrc: c, InnerDst: s, InnerSrcPort: client, InnerDstPort: server}
	if !forth {
		e.Seam, e.Checkpoint, e.InnerSrc, e.InnerDst, e.InnerSrcPort, e.InnerDstPort = probe.SeamTUNWrite, probe.A6, s, c, server, client
	}
	return step{forth, e}
}

func tcp(forth bool, flags uint8, s probe.Segment) step {
	p := step0(forth, probe.ProtoTCP, flags, 40000, 80)
	p.e.SetSegment(s)
	return p
}

// older is what a recording of an earlier release has of it.
func (s step) older() step {
	s.e.Flags, s.e.OuterDst, s.e.OuterDstPort = 0, probe.Addr{}, 0
	return s
}

func TestAnswers(t *testing.T) {
	const forth, back = true, false
	const push, ack = probe.TCPAck | probe.TCPPsh, probe.TCPAck
	plain := func(s step) step { // without timestamps
		seg, _ := s.e.Segment()
		seg.Stamp, seg.Echo = 0, 0
		s.e.SetSegment(seg)
		return s
	}
	ask := tcp(forth, push, probe.Segment{Seq: 100, Ack: 900, Content: 50, Stamp: 7000, Echo: 300})
	repeat := tcp(back, push, probe.Segment{Seq: 800, Ack: 100, Content: 100, Stamp: 400, Echo: 6000})
	heard := tcp(forth, ack, probe.Segment{Seq: 100, Ack: 900, Stamp: 7000, Echo: 300})
	more := tcp(back, push, probe.Segment{Seq: 900, Ack: 100, Content: 100, Stamp: 500, Echo: 7000})
	answer := tcp(back, push, probe.Segment{Seq: 900, Ack: 150, Content: 10, Stamp: 400, Echo: 7000})
	late := tcp(back, push, probe.Segment{Seq: 900, Ack: 150, Content: 10, Stamp: 400, Echo: 6999})
	syn := tcp(forth, probe.TCPSyn, probe.Segment{Seq: 5000, Stamp: 7000})
	synAck := tcp(back, probe.TCPSyn|ack, probe.Segment{Seq: 1, Ack: 5001, Stamp: 400, Echo: 7000})
	reset := tcp(back, probe.TCPRst|ack, probe.Segment{Ack: 5001})
	echo := func(way bool, seq uint16) step {
		s := step0(way, probe.ProtoICMP, 0, 77, seq)
		if s.e.InnerSrcPort, s.e.InnerDstPort = 77, seq; way {
			s.e.Info = 8
		}
		return s
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  bool
	}{
		{"answered", []step{ask, answer}, true},
		{"something is repeated in the moment in which it asks", []step{ask, repeat}, false},
		{"the same without times", []step{plain(ask), plain(repeat)}, false},
		{"what an earlier copy of it got", []step{ask, late}, false},
		{"acknowledged with more that was sent", []step{heard, ask, late}, true},
		{"without times", []step{plain(ask), plain(answer)}, true},
		{"only the acknowledgement of what is repeated", []step{repeat, heard, repeat}, false},
		{"what comes after an acknowledgement", []step{heard, more}, true},
		{"but not if it asks as well", []step{heard, ask, more}, false},
		{"opened", []step{syn, synAck}, true},
		{"opened, asked again", []step{syn, syn, synAck}, true},
		{"asked again, with the first one's time", []step{tcp(forth, probe.TCPSyn, probe.Segment{Seq: 5000, Stamp: 9000}), synAck}, true},
		{"opened over one that ran before", []step{ask, syn, repeat, synAck}, true},
		{"over one that runs on", []step{ask, syn, repeat}, false},
		{"refused", []step{syn, reset}, true}, // nothing that could have been an answer
		{"an older recording", []step{ask.older(), repeat.older()}, true},
		{"an older recording of an acknowledgement", []step{heard.older(), more.older()}, false},
		{"echo", []step{echo(forth, 2), echo(back, 2)}, true},
		{"the reply to the echo before", []step{echo(forth, 2), echo(back, 1)}, false},
		{"and then the reply", []step{echo(forth, 2), echo(back, 1), echo(forth, 3), echo(back, 2)}, true},
		{"an echo of which only the reply is known", []step{echo(back, 1)}, true},
		{"a datagram", []step{step0(forth, probe.ProtoUDP, 0, 40000, 53), step0(back, probe.ProtoUDP, 0, 40000, 53)}, true},
	} {
		var a diagnose.Answers
		for _, s := range c.steps {
			a.Add(&s.e, s.forth)
		}
		if a.Given() != c.want {
			t.Errorf("%s: answered: %t", c.name, a.Given())
		}
	}
}

// A reset refuses what was asked and not answered, and nothing else.
func TestRefuses(t *testing.T) {
	const forth, back = true, false
	const push, ack = probe.TCPAck | probe.TCPPsh, probe.TCPAck
	syn := tcp(forth, probe.TCPSyn, probe.Segment{Seq: 5000, Stamp: 7000})
	synAck := tcp(back, probe.TCPSyn|ack, probe.Segment{Seq: 1, Ack: 5001, Stamp: 400, Echo: 7000})
	ask := tcp(forth, push, probe.Segment{Seq: 5001, Ack: 2, Content: 50, Stamp: 7001, Echo: 400})
	answer := tcp(back, push, probe.Segment{Seq: 2, Ack: 5051, Content: 10, Stamp: 401, Echo: 7001})
	again := tcp(forth, probe.TCPSyn, probe.Segment{Seq: 90000, Stamp: 9000})
	reset := tcp(back, probe.TCPRst|ack, probe.Segment{Ack: 5001})
	for _, c := range []struct {
		name  string
		steps []step
		want  bool
	}{
		{"a connection that is asked for", []step{syn}, true},
		{"the same, asked for twice", []step{syn, syn}, true},
		{"one that was open", []step{syn, synAck}, false},
		{"one that is over", []step{syn, synAck, ask, answer, ask}, false},
		{"the next one with the same ports", []step{syn, synAck, ask, answer, again}, true},
		{"a request, whose connection was open before", []step{ask}, true},
		{"nothing that was seen", nil, false},
		{"an acknowledgement", []step{tcp(forth, ack, probe.Segment{Seq: 5001, Ack: 2})}, false},
		{"an older recording's", []step{syn.older()}, true},
		{"an older recording's that was open", []step{syn.older(), synAck.older()}, false},
	} {
		var a diagnose.Answers
		for _, s := range c.steps {
			a.Add(&s.e, s.forth)
		}
		if got := a.Refuses(&reset.e); got != c.want {
			t.Errorf("%s: refused: %t", c.name, got)
		}
		if a.Refuses(&answer.e) {
			t.Errorf("%s: refused by an answer", c.name)
		}
	}
}

// What is repeated in vain does not become an answer by going on; a download does that of
// which nothing tells.
func TestSteadyAnswers(t *testing.T) {
	for _, c := range []struct {
		name string
		e    step
		want bool
	}{
		{"repeated", tcp(false, probe.TCPAck, probe.Segment{Ack: 100, Stamp: 9, Echo: 6000}), false},
		{"of an older recording", tcp(false, probe.TCPAck, probe.Segment{}).older(), true},
	} {
		var a diagnose.Answers
		heard := tcp(true, probe.TCPAck, probe.Segment{Seq: 100, Stamp: 7000, Echo: 9})
		if !c.want {
			a.Add(&heard.e, true)
		}
		for i := range 20 {
			c.e.e.Time = int64(i) * 1e8
			a.Add(&c.e.e, false)
		}
		if a.Given() != c.want {
			t.Errorf("%s: answered: %t", c.name, a.Given())
		}
	}
}

// What was asked before a reset is not answered after it.
func TestAnswersReset(t *testing.T) {
	var a diagnose.Answers
	ask := func(seq, stamp uint32) {
		s := tcp(true, probe.TCPAck|probe.TCPPsh, probe.Segment{Seq: seq, Content: 10, Stamp: stamp})
		a.Add(&s.e, true)
	}
	answer := func(ackn, echo uint32) bool {
		s := tcp(false, probe.TCPAck, probe.Segment{Ack: ackn, Stamp: 1, Echo: echo})
		return a.Add(&s.e, false)
	}
	ask(100, 7000)
	if !answer(110, 7000) {
		t.Error("not answered")
	}
	a.Reset()
	ask(100, 7500)
	if answer(110, 7000) {
		t.Error("answered by what was sent before it was asked")
	}
	ask(110, 7500)
	if !answer(120, 7500) || !a.Given() {
		t.Error("not answered after a reset")
	}
}
