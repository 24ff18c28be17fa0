//go:build linux

package netfilter

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func TestParseNFT(t *testing.T) {
	got := parseNFT([]byte(`table inet t { # handle 1
	set ports { # handle 3
		type inet_service
		elements = { 22,
			     80 }
	}

	map verdicts {
		type inet_service : verdict
	}

	chain input { # handle 2
		comment "of the chain"
		type filter hook input priority filter; policy drop;
		tcp dport @ports  counter accept # handle 4
		tcp dport { 1000-1010, 2000,
			     3000 } accept comment "ends # handle 9" # handle 5
		jump other # handle 6
	}

	chain other { # handle 7
		ip saddr 10.0.0.1 ct state {
			established } drop # handle 12
	}
}
`))
	want := map[uint64]string{
		4:  "tcp dport @ports counter accept",
		5:  `tcp dport { 1000-1010, 2000, 3000 } accept comment "ends # handle 9"`,
		6:  "jump other",
		12: "ip saddr 10.0.0.1 ct state { established } drop",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestMatchCheck(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	for _, tt := range []struct {
		match Match
		want  string
	}{
		{Match{}, "neither a source nor a destination"},
		{Match{Src: v4, Dst: v6}, "two families"},
		{Match{Dst: v4, DstPort: 53}, "ports need a protocol"},
		{Match{Dst: v4, Proto: unix.IPPROTO_TCP, Payload: 148}, "UDP only"},
		{Match{Dst: v4, Proto: unix.IPPROTO_TCP, ICMPID: new(uint16)}, "ICMP only"},
		{Match{Dst: v4, In: "a", Out: "b"}, "no way out"},
		{Match{Dst: v4, In: "interface-name-16"}, "too long"},
		{Match{Dst: netip.MustParsePrefix("::ffff:10.0.0.1/128")}, "as one of IPv6"},
		{Match{Dst: v4, Proto: unix.IPPROTO_UDP, DstPort: 53, Payload: 148}, ""},
	} {
		got := ""
		if err := tt.match.check(); err != nil {
			got = err.Error()
		}
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.match, got, tt.want)
		}
	}
}

func TestReverse(t *testing.T) {
	m := Match{Src: netip.MustParsePrefix("10.0.0.1/32"), Dst: netip.MustParsePrefix("10.0.0.2/32"), Proto: unix.IPPROTO_ICMP,
		ICMPType: new(uint8(icmpEcho)), ICMPID: new(uint16(7)), Out: "wg0", Mark: new(uint32(1))}
	r := m.Reverse()
	if r.Src != m.Dst || r.Dst != m.Src || *r.ICMPType != icmpEchoReply || *r.ICMPID != 7 || r.In != "wg0" || r.Out != "" || r.Mark != nil {
		t.Errorf("reverse %+v", r)
	}
	if back := r.Reverse(); *back.ICMPType != icmpEcho || back.Src != m.Src {
		t.Errorf("and again %+v", back)
	}
}

// message is a trace message with the given attributes.
func message(fill func(ae *netlink.AttributeEncoder)) []byte {
	m, err := request(unix.NFT_MSG_TRACE, unix.NFPROTO_INET, 0, fill)
	if err != nil {
		panic(err)
	}
	return m.Data
}

func TestDecodeVerdicts(t *testing.T) {
	for code, want := range map[int32]string{
		0: "drop", 1: "accept", 2: "stolen", 7<<16 | 3: "queue to 7",
		// Drops may have an error in the upper half (NF_DROP_ERR).
		-1 << 16:        "drop",
		unix.NFT_JUMP:   "jump other",
		unix.NFT_GOTO:   "goto other",
		unix.NFT_RETURN: "return",
		unix.NFT_BREAK:  "continue",
		0x7f:            "unknown",
	} {
		e, err := decodeEvent(message(func(ae *netlink.AttributeEncoder) {
			ae.Uint32(unix.NFTA_TRACE_TYPE, unix.NFT_TRACETYPE_RULE)
			ae.Uint64(unix.NFTA_TRACE_RULE_HANDLE, 5)
			ae.Nested(unix.NFTA_TRACE_VERDICT, func(ae *netlink.AttributeEncoder) error {
				ae.Int32(unix.NFTA_VERDICT_CODE, code)
				ae.String(unix.NFTA_VERDICT_CHAIN, "other")
				return nil
			})
		}))
		if got := e.step.Verdict.String(); err != nil || got != want || e.step.Kind != RuleStep || e.step.Handle != 5 {
			t.Errorf("%#x: %q of %+v, %v; want %q", code, got, e, err, want)
		}
	}
}

func TestFateInWords(t *testing.T) {
	chain := Chain{Table: Table{Family: "inet", Name: "t"}, Name: "f", Hook: Forward}
	visit := func(s Step) []Visit { return []Visit{{Chain: chain, Steps: []Step{s}}} }
	for _, tt := range []struct {
		packet Packet
		want   string
	}{
		{Packet{Start: Prerouting}, "lost after prerouting"},
		{Packet{Start: Prerouting, Visits: visit(Step{Kind: PolicyStep, Verdict: Verdict{Action: Accept}})}, "lost after forward"},
		{Packet{Start: Prerouting, Visits: visit(Step{Chain: "in", Handle: 4, Verdict: Verdict{Action: Drop}})},
			"dropped by inet t in, handle 4"},
		{Packet{Start: Prerouting, Visits: visit(Step{Kind: PolicyStep, Verdict: Verdict{Action: Drop}})}, "dropped by the policy of inet t f"},
		{Packet{Start: Prerouting, Visits: visit(Step{Chain: "f", Handle: 5, Verdict: Verdict{Action: Queue}})}, "queued by inet t f, handle 5"},
		// A program was given the packet, and let it pass.
		{Packet{Start: Prerouting, End: Postrouting, Visits: visit(Step{Verdict: Verdict{Action: Queue}})}, "passed postrouting"},
	} {
		if got := tt.packet.Fate().String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// Whatever comes, decoding and walking must not panic, nor keep more than it may.
func FuzzEvents(f *testing.F) {
	ip := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	for _, chain := range []string{"front-output", "gate-output", "gate-input", "other"} {
		f.Add(message(func(ae *netlink.AttributeEncoder) {
			ae.String(unix.NFTA_TRACE_TABLE, "own")
			ae.String(unix.NFTA_TRACE_CHAIN, chain)
			ae.Uint64(unix.NFTA_TRACE_RULE_HANDLE, 5)
			ae.Uint32(unix.NFTA_TRACE_TYPE, unix.NFT_TRACETYPE_RULE)
			ae.Uint32(unix.NFTA_TRACE_ID, 1)
			ae.Bytes(unix.NFTA_TRACE_NETWORK_HEADER, ip)
			ae.Bytes(unix.NFTA_TRACE_TRANSPORT_HEADER, binary.BigEndian.AppendUint32(nil, 80))
		}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := walks{own: "own", handles: map[uint64]int{5: 0}, open: map[uint32]*walk{}, device: map[uint32]*walk{},
			chains: func(uint8, string, string) Chain { return Chain{} }}
		for range 2 {
			e, err := decodeEvent(b)
			if err != nil {
				return
			}
			w.add(&e, time.Time{})
		}
		w.finishQuiet(time.Now())
		if len(w.open) != 0 {
			t.Errorf("%d walks are open", len(w.open))
		}
		for _, p := range w.done {
			_ = p.Fate()
		}
	})
}
