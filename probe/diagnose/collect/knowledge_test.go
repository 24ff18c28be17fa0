package collect

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func meta() *recording.Meta {
	m := &recording.Meta{Interface: "wg0", Config: "/etc/wg0.conf", PublicKey: key.Public{9}, ListenPort: 51820, FwMark: 7}
	m.Peers = []recording.Peer{
		{ID: 1, PublicKey: key.Public{1}, Name: "wide", Configured: true, AllowedIPs: prefixes("10.0.0.0/8", "fd00::/8"), Handshake: noon},
		{ID: 2, PublicKey: key.Public{2}, Name: "narrow", Configured: true, AllowedIPs: prefixes("10.1.0.0/16"), Written: "vpn.example:51820"},
		{ID: 3, PublicKey: key.Public{3}, Name: "removed", AllowedIPs: prefixes("10.1.2.0/24")},
	}
	return m
}

// Cryptokey routing of a recording is that of the device: the longest prefix of a peer
// that is configured.
func TestRecordedLookup(t *testing.T) {
	k := Recorded(meta())
	for _, tc := range []struct {
		addr string
		want probe.PeerID
	}{
		{addr: "10.2.0.1", want: 1},
		{addr: "10.1.2.3", want: 2},
		{addr: "fd00::1", want: 1},
		{addr: "192.0.2.1"},
	} {
		if got := k.Lookup(netip.MustParseAddr(tc.addr)); got != tc.want {
			t.Errorf("%s: peer %d, want %d", tc.addr, got, tc.want)
		}
	}
}

func TestFactsFrom(t *testing.T) {
	m := meta()
	f := FactsFrom(Recorded(m))
	if f.Interface != "wg0" || f.Config != "/etc/wg0.conf" || f.PublicKey != m.PublicKey || f.ListenPort != 51820 || f.FwMark != 7 {
		t.Errorf("facts %+v", f)
	}
	c := CollectorFor(Recorded(m))
	if p := c.Peers[2]; p == nil || p.Name != "narrow" || p.Written != "vpn.example:51820" || p.Key != m.Peers[1].PublicKey {
		t.Errorf("peer 2: %+v", p)
	}
	if p := c.Peers[1]; p == nil || !p.Handshake.Established.Equal(noon) {
		t.Errorf("peer 1: %+v", p)
	}
}

// A peer that is met later is added; what events have said of the others stays.
func TestMeet(t *testing.T) {
	m := meta()
	c := CollectorFor(Recorded(m))
	moved := netip.MustParseAddrPort("192.0.2.7:51820")
	c.Peers[1].Endpoint = moved
	m.Peers = append(m.Peers, recording.Peer{ID: 4, PublicKey: key.Public{4}, Name: "new"})
	Meet(c, Recorded(m))
	if len(c.Peers) != 4 || c.Peers[4].Name != "new" || c.Peers[1].Endpoint != moved {
		t.Errorf("peers %+v", c.Peers)
	}
}

// A state that is older than what events have said does not take a handshake back.
func TestRefresh(t *testing.T) {
	p := new(diagnose.Peer)
	p.Handshake.Established = noon
	Refresh(p, State{Established: noon.Add(-time.Minute), Unresolved: "no such host"})
	if !p.Handshake.Established.Equal(noon) || p.Resolve != "no such host" {
		t.Errorf("%+v", p)
	}
	Refresh(p, State{Established: noon.Add(time.Minute)})
	if !p.Handshake.Established.Equal(noon.Add(time.Minute)) || p.Resolve != "" {
		t.Errorf("%+v", p)
	}
}
