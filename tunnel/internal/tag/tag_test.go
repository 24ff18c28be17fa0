package tag

import (
	"testing"

	"github.com/wgnode/wgnode/probe"
)

// A tag is found as it was put, wherever the packet's length has it be, until it is
// cleared; and by nobody else.
func TestTags(t *testing.T) {
	ours, others := New(), New()
	out := probe.Event{Seq: 7, Peer: 3, InnerSrc: probe.Addr{15: 1}, InnerDst: probe.Addr{15: 2}, InnerSrcPort: 4, InnerDstPort: 5,
		InnerLen: 1300, Proto: probe.ProtoUDP, PrefixBits: 24, Flags: probe.FlagInitiatedHere}
	in := probe.Event{Seq: 8, Peer: 3, OuterSrc: probe.Addr{15: 9}, OuterSrcPort: 51820, OuterLen: 1400}
	for _, length := range []int{0, 1400, NearAt, NearAt + 1, 32000, FarAt} {
		b := make([]byte, bufferSize)
		if found, state := ours.Find(b); found == nil || state != None {
			t.Fatalf("%d bytes: state %d in an empty buffer", length, state)
		}
		var got probe.Event
		ours.Of(b[:length], 0).PutOutbound(ours.Magic, &out, 11)
		found, state := ours.Find(b)
		if state != Outbound || found.Peer() != 3 || found.Ordinal() != 11 || found.Seq() != 7 {
			t.Errorf("%d bytes: state %d, peer %d, ordinal %d of event %d", length, state, found.Peer(), found.Ordinal(), found.Seq())
		}
		want := out
		want.Seq, want.Pair = 0, 7
		if found.GetOutbound(&got); got != want {
			t.Errorf("%d bytes: %+v, want %+v", length, got, want)
		}
		if _, state := others.Find(b); state != None {
			t.Errorf("%d bytes: another tunnel finds state %d", length, state)
		}
		ours.Of(b[:length], 0).PutInbound(ours.Magic, Inbound6, &in, 12)
		found, state = ours.Find(b)
		got, want = probe.Event{}, in
		want.Seq, want.Pair = 0, 8
		if found.GetInbound(&got); got != want || state != Inbound6 || found.Ordinal() != 12 {
			t.Errorf("%d bytes: state %d, ordinal %d, %+v, want %+v", length, state, found.Ordinal(), got, want)
		}
		found.Clear(ours.Magic)
		if _, state := ours.Find(b); state != None {
			t.Errorf("%d bytes: state %d after it was cleared", length, state)
		}
	}
}

// What leaves no room for a tag has none, nor has what is in a buffer of somebody else's.
func TestNoPlaceForATag(t *testing.T) {
	ts := New()
	b := make([]byte, bufferSize)
	for name, place := range map[string]Tag{"too long": ts.Of(b[:FarAt+1], 0), "too long once it has grown": ts.Of(b[:FarAt], Growth),
		"in another buffer": ts.Of(make([]byte, 1400), 0)} {
		if place != nil {
			t.Errorf("%s: has a place", name)
		}
		place.Clear(ts.Magic) // harmless
	}
	if found, state := ts.Find(make([]byte, 1400)); found != nil || state != None {
		t.Errorf("state %d in another buffer", state)
	}
}
