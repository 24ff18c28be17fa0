package filter_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/filter"
)

// A filter that names reasons of both is one of events and one of what the kernel drops.
func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		words, events, drops      string
		noEvents, noDrops, kernel bool
	}{
		{words: ""},
		{words: "tcp port 80", events: "tcp port 80", drops: "tcp port 80"},
		{words: "reason tc_egress", drops: "reason TC_EGRESS", noEvents: true, kernel: true},
		{words: "TC_EGRESS peer alice", events: "peer alice", drops: "reason TC_EGRESS peer alice", noEvents: true, kernel: true},
		{words: "no-endpoint", events: "reason no-endpoint", noDrops: true},
		{words: "reason no-endpoint,TC_EGRESS", events: "reason no-endpoint", drops: "reason TC_EGRESS", kernel: true},
		{words: "no-endpoint TC_EGRESS", events: "reason no-endpoint", drops: "reason TC_EGRESS", kernel: true},
		{words: "not TC_EGRESS", drops: "not reason TC_EGRESS", kernel: true},
		{words: "not reason no-endpoint,tc_egress out", events: "not reason no-endpoint out", drops: "not reason TC_EGRESS",
			noDrops: true, kernel: true},
		{words: "A1", events: "A1", noDrops: true},
		{words: "not A1", events: "not A1"},
		{words: "dropped", events: "dropped"},
		{words: "passed", events: "passed", noDrops: true},
		{words: "passed dropped", events: "passed dropped"},
		{words: "not dropped", events: "not dropped", noDrops: true},
		{words: "outer src net 10.0.0.0/8", events: "outer src net 10.0.0.0/8", drops: "outer src net 10.0.0.0/8"},
	} {
		f, err := filter.Split([]string{tt.words}, peers, kernelReasons)
		if err != nil {
			t.Errorf("%q: %v", tt.words, err)
			continue
		}
		events, drops := strings.Join(f.Events, " "), strings.Join(f.Drops, " ")
		if events != tt.events || drops != tt.drops || f.NoEvents != tt.noEvents || f.NoDrops != tt.noDrops || f.Kernel != tt.kernel {
			t.Errorf("%q: %+v", tt.words, f)
		}
		if _, err := filter.Compile(f.Events, peers); err != nil {
			t.Errorf("%q: of events: %v", tt.words, err)
		}
		if _, err := filter.CompileDrops(f.Drops, peers, kernelReasons); err != nil {
			t.Errorf("%q: of drops: %v", tt.words, err)
		}
	}
}

// A compiled filter of both keeps to each what is asked of it.
func TestBoth(t *testing.T) {
	web := probe.Event{Kind: probe.KindInner, Proto: probe.ProtoTCP, InnerDstPort: 80,
		InnerSrc: probe.AddrFrom(netip.MustParseAddr("10.0.0.1"))}
	for _, tt := range []struct {
		words       string
		event, drop bool // a packet at A1, and the same that the kernel has dropped for TC_EGRESS
	}{
		{"", true, true}, {"tcp port 80", true, true}, {"port 81", false, false}, {"TC_EGRESS", false, true}, {"TC_INGRESS", false, false},
		{"A1", true, false}, {"dropped", false, true}, {"not TC_EGRESS", true, false},
	} {
		f, err := filter.CompileBoth(strings.Fields(tt.words), peers, kernelReasons)
		if err != nil {
			t.Fatal(err)
		}
		e := web
		e.Seam, e.Checkpoint = probe.SeamTUNRead, probe.A1
		if f.Match(&e) != tt.event || f.MatchDrop(&web, "TC_EGRESS") != tt.drop {
			t.Errorf("%q: event %v, drop %v", tt.words, f.Match(&e), f.MatchDrop(&web, "TC_EGRESS"))
		}
	}
	var all *filter.Both
	if !all.Match(&web) || !all.MatchDrop(&web, "X") || all.Events() != nil || all.NoDrops() {
		t.Error("no filter does not match all")
	}
	if _, err := filter.CompileBoth([]string{"reason NETFILTER_DORP"}, peers, kernelReasons); err == nil {
		t.Error("an unknown reason is taken")
	}
}

func TestSplitErrors(t *testing.T) {
	for words, want := range map[string]string{
		"reason NETFILTER_DORP": `filter, word 2: unknown reason "NETFILTER_DORP": did you mean "NETFILTER_DROP"? want one of `,
		"reason no-endpiont":    `did you mean "no-endpoint"?`,
		"TC_EGRES":              `filter, word 1: unknown word "TC_EGRES": did you mean "TC_EGRESS"? want an address`,
		"dropepd":               `did you mean "dropped"?`,
		"peer mallory":          "no peer has this name",
	} {
		if _, err := filter.Split([]string{words}, peers, kernelReasons); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
	// The name of a peer may hold spaces.
	if f, err := filter.Split([]string{"peer", "my laptop"}, func(string) ([]probe.PeerID, error) { return []probe.PeerID{1}, nil },
		nil); err != nil || len(f.Events) != 2 || len(f.Drops) != 2 {
		t.Errorf("%+v: %v", f, err)
	}
}

func TestCompleteBoth(t *testing.T) {
	for _, tt := range []struct{ args, word, want string }{
		{"", "tc", "tcp TC_EGRESS TC_INGRESS"},
		{"reason", "no-end", "no-endpoint"},
		{"reason", "net", "NETFILTER_DROP"},
		{"", "che", "checkpoint"},
	} {
		if got := strings.Join(filter.CompleteBoth(strings.Fields(tt.args), tt.word, kernelReasons), " "); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.args, tt.word, got, tt.want)
		}
	}
}
