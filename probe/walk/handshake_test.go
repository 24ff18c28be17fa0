package walk_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/walk"
)

// waited are the facts of a packet that waited for more than one initiation: the first of them left
// 200 ms before it.
func waited(n int) *walk.Facts {
	f := healthy()
	d := dropped()
	f.Seen[probe.A2], f.Seen[probe.A3], f.Initiation, f.Response = d.Seen[probe.A2], d.Seen[probe.A3], d.Initiation, d.Response
	first := f.Seen[probe.A1].Time - (200 * time.Millisecond).Nanoseconds()
	for i := range n {
		f.Unanswered = append(f.Unanswered, walk.Attempt{Event: event(probe.A2, 0, func(e *probe.Event) {
			e.Kind, e.OuterLen, e.Sender = probe.KindInitiation, 148, uint32(i)
			e.Time = first + 5*time.Second.Nanoseconds()*int64(i)
		})})
	}
	for i, cp := range []probe.Checkpoint{probe.A2, probe.A3, probe.A4, probe.A5, probe.A6} {
		f.Seen[cp].Time = first + (time.Duration(n)*5*time.Second + time.Duration(i)*time.Millisecond).Nanoseconds()
	}
	return f
}

// A packet that waited for a second initiation is not said to have waited for one.
func TestHandshakeSaysWhatWasNotAnswered(t *testing.T) {
	two := waited(1)
	two.Unanswered[0].Response = &evidence.Traversal{Packet: "udp " + hub + " > " + here + ", 120 bytes", Lost: "prerouting",
		KernelDrop: &evidence.KernelDrop{Reason: "IP_RPFILTER", Place: "ip_rcv_finish_core", Packet: "udp"}}
	silent := waited(1)
	until(silent, probe.A2)
	for name, test := range map[string]struct {
		facts *walk.Facts
		want  []string
	}{
		"none": {waited(0), []string{"there was no session: initiation to 203.0.113.2:51820, answered after 1.00 ms"}},
		"one": {two, []string{
			"there was no session: an earlier initiation to 203.0.113.2:51820 was not answered; the next, 5.00 s later, was answered after 1.00 ms",
			"initiation to 203.0.113.2:51820, sender 0x00000000, 200 ms before the packet came: no response came to the tunnel",
			"  its response came to this host", "  the kernel dropped udp: IP_RPFILTER in ip_rcv_finish_core"}},
		"two": {waited(2), []string{
			"there was no session: 2 earlier initiations to 203.0.113.2:51820 were not answered; the next, 5.00 s later, was answered after 1.00 ms",
			"initiation to 203.0.113.2:51820, sender 0x00000001, 4.80 s after it: no response came to the tunnel"}},
		"nor the last": {silent, []string{
			"an earlier initiation to 203.0.113.2:51820 was not answered; the next left 5.00 s later; the packet waits"}},
	} {
		w := walk.Build(test.facts)
		i := slices.IndexFunc(w.Steps, func(s walk.Step) bool { return s.Place == walk.Handshake })
		if i < 0 {
			t.Fatalf("%s: there is no handshake in %+v", name, w.Steps)
		}
		said := append([]string{w.Steps[i].Result}, w.Steps[i].Evidence...)
		for _, line := range test.want {
			if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, line) }) {
				t.Errorf("%s: %q is not in\n%s", name, line, strings.Join(said, "\n"))
			}
		}
	}
}

// What TCP drops as usual is told where no answer came alone.
func TestNotesOfUsualDrops(t *testing.T) {
	for _, test := range []struct{ answered, usual, noted bool }{{true, true, false}, {true, false, true}, {false, true, true}} {
		f := healthy()
		if !test.answered {
			until(f, probe.A5)
			f.In = &evidence.Traversal{Packet: "tcp", Passed: "input", In: "wg0"}
		}
		f.In.KernelDrop = &evidence.KernelDrop{Reason: "TCP_RFC7323_PAWS", Place: "tcp_validate_incoming", Packet: "tcp", Hint: true,
			Usual: test.usual}
		if w := walk.Build(f); len(w.Notes) > 0 != test.noted || w.Outcome.Answered != test.answered {
			t.Errorf("answered %v, usual %v: %+v, notes %q", test.answered, test.usual, w.Outcome, w.Notes)
		}
	}
}
