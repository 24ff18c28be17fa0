package diagnose

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
	"github.com/wgnode/wgnode/probe/key"
)

// The codes and their classes are a public contract: this list is written out
// so that renaming one fails here.
func TestCodesAndClasses(t *testing.T) {
	want := strings.Fields(`
		healthy:none dest-not-routed:routing route-bypasses-tunnel:routing
		no-allowedips-match:config output-firewall:firewall no-private-key:config no-endpoint:config
		endpoint-unresolved:dns endpoint-not-routed:routing endpoint-in-tunnel:routing
		underlay-output-firewall:firewall endpoint-port-closed:config
		endpoint-unreachable:routing endpoint-prohibited:firewall
		underlay-input-firewall:firewall no-response:network psk-mismatch:config
		unknown-peer:config wrong-public-key:config handshake-replay:config
		response-not-accepted:network reply-leaves-elsewhere:routing shared-key:config
		disallowed-source:config forwarding-disabled:routing forward-firewall:firewall
		no-route-onward:routing reverse-path-filter:routing snat-missing:firewall
		neighbor-unreachable:network no-reply-from-destination:network
		return-firewall:firewall return-route-wrong:routing no-reply:network
		connection-refused:network input-firewall:firewall mtu-blackhole:network
		dns-unreachable:dns dns-not-applied:dns dns-leak:dns clock-skew:config
		overlapping-allowedips:config address-conflict:config duplicate-address:config
		key-is-own:config world-readable-config:config no-keepalive:config
		full-tunnel-one-family:routing mtu-too-large:network not-as-applied:config`)
	var got []string
	for _, c := range Codes() {
		got = append(got, string(c)+":"+string(c.Class()))
	}
	// More codes may follow; those of the contract stay.
	have := make(map[string]bool)
	for _, g := range got {
		if code, _, _ := strings.Cut(g, ":"); have[code] {
			t.Errorf("%s is listed twice", code)
		} else {
			have[code] = true
		}
		have[g] = true
	}
	for _, w := range want {
		if !have[w] {
			t.Errorf("%s is missing; have %v", w, got)
		}
	}
}

func TestReportJSON(t *testing.T) {
	r := Report{
		Interface: "wg0", Target: "192.168.200.22:80", Side: probe.SideA,
		Verdict: Verdict{Code: PSKMismatch, Checkpoint: probe.A3, Where: WhereHere, Certain: true,
			Summary:  "the preshared keys differ",
			Evidence: []evidence.Line{evidence.Secret.Decides("a response"), evidence.Inferred.Says("no data")}},
		Ladder: []Rung{
			{Checkpoint: probe.A1, Status: Pass, Detail: "len 60", Seam: probe.SeamTUNRead,
				Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600))},
			{Checkpoint: probe.A3, Status: Fail},
		},
	}
	got, err := json.MarshalIndent(&r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "schema": 1,
 "interface": "wg0",
 "target": "192.168.200.22:80",
 "peer": "",
 "side": "A",
 "verdict": {
  "healthy": false,
  "code": "psk-mismatch",
  "class": "config",
  "checkpoint": "A3",
  "where": "here",
  "certain": true,
  "summary": "the preshared keys differ",
  "evidence": [
   "a response",
   "no data"
  ],
  "known": [
   "secret",
   "inferred"
  ],
  "fix": [],
  "steps": [],
  "candidates": []
 },
 "ladder": [
  {
   "checkpoint": "A1",
   "status": "pass",
   "detail": "len 60",
   "time": "2026-01-02T02:04:05.000006Z",
   "seam": "tun-read"
  },
  {
   "checkpoint": "A3",
   "status": "fail",
   "detail": ""
  }
 ],
 "findings": []
}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}

	var back Report
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if !back.Ladder[0].Time.Equal(r.Ladder[0].Time) {
		t.Errorf("time came back as %v", back.Ladder[0].Time)
	}
	again, err := json.MarshalIndent(&back, "", " ")
	if err != nil || string(again) != want {
		t.Errorf("second round: %s, %v", again, err)
	}
}

func TestDoctorReportJSONHasNoNull(t *testing.T) {
	for _, r := range []DoctorReport{
		{},
		{Peers: []PeerReport{{}}, Findings: []Finding{{}}},
		{Peers: []PeerReport{{Verdict: Verdict{Candidates: []Candidate{{}}}, Ladder: []Rung{{}}}}},
	} {
		b, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "null") {
			t.Errorf("null in %s", b)
		}
	}
}

func TestReportFromAnotherVersion(t *testing.T) {
	var r Report
	err := json.Unmarshal([]byte(`{"ladder":[{"checkpoint":"C1"}]}`), &r)
	if err == nil || !strings.Contains(err.Error(), `unknown checkpoint "C1"`) {
		t.Errorf("got %v", err)
	}
	// Keys and codes may be added.
	if err := json.Unmarshal([]byte(`{"new":1,"verdict":{"code":"new-code"}}`), &r); err != nil {
		t.Error(err)
	}
	if got := r.Verdict.Class(); got != ClassNetwork {
		t.Errorf("class %q", got)
	}
}

func TestDoctorHealthy(t *testing.T) {
	r := DoctorReport{Peers: []PeerReport{{Verdict: Verdict{Code: Healthy}}}}
	if !r.Healthy() {
		t.Error("one healthy peer is not healthy")
	}
	r.Peers = append(r.Peers, PeerReport{Verdict: Verdict{Code: NoEndpoint}})
	if r.Healthy() {
		t.Error("a faulty peer is healthy")
	}
	if r.Peers[1].Verdict.Class() != ClassConfig {
		t.Error("class")
	}
}

// A peer that is up while a finding has seen its packets fail is not well; a finding that
// has not, or is about another peer, changes nothing.
func TestDegraded(t *testing.T) {
	k, other := key.GeneratePrivate().Public(), key.GeneratePrivate().Public()
	for _, c := range []struct {
		name    string
		state   State
		finding Finding
		want    State
	}{
		{name: "its packets fail", state: StateUp, finding: Finding{Peer: k, Failing: true}, want: StateDegraded},
		{name: "everybody's packets fail", state: StateUp, finding: Finding{Failing: true}, want: StateDegraded},
		{name: "need not hurt", state: StateUp, finding: Finding{Peer: k}, want: StateUp},
		{name: "another's packets fail", state: StateUp, finding: Finding{Peer: other, Failing: true}, want: StateUp},
		{name: "no session", state: StateStale, finding: Finding{Peer: k, Failing: true}, want: StateStale},
	} {
		r := DoctorReport{Findings: []Finding{c.finding},
			Peers: []PeerReport{{Peer: k.String(), State: c.state, Verdict: Verdict{Code: Healthy}}}}
		r.Degrade()
		if got := r.Peers[0].State; got != c.want || r.Healthy() != (c.want != StateDegraded) {
			t.Errorf("%s: %s, healthy %v; want %s", c.name, got, r.Healthy(), c.want)
		}
	}
}

// What a verdict tells is not told again.
func TestBeside(t *testing.T) {
	found := []Finding{{Code: EndpointInTunnel}, {Code: ClockSkew}}
	got := Beside(found, &Verdict{Code: Healthy}, &Verdict{Code: EndpointInTunnel})
	if len(got) != 1 || got[0].Code != ClockSkew || len(found) != 2 || found[0].Code != EndpointInTunnel {
		t.Errorf("%+v beside a verdict, of %+v", got, found)
	}
}

// What to do is in JSON as lines, and as steps. It is read back from the steps; of a
// node of an older version, which writes lines only, from those.
func TestFixJSON(t *testing.T) {
	in := fix.Where{File: "wg0.toml", Section: "Interface"}
	f := Finding{Code: MTUTooLarge, Summary: "too large", Fix: fix.Steps{fix.Notef("in %s:", in), fix.Config(in, "MTU", "1400")}}
	got, err := json.Marshal(&f)
	const lines = `{"code":"mtu-too-large","summary":"too large","fix":["# in [interface] (wg0.toml):","mtu = 1400"]`
	const want = lines + `,"steps":[{"kind":"note","note":"in [interface] (wg0.toml):"},` +
		`{"kind":"config","where":{"file":"wg0.toml","section":"Interface"},"key":"MTU","value":"1400"}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s (%v)\nwant %s", got, err, want)
	}
	for _, written := range []string{want, lines + "}"} {
		var back Finding
		if err := json.Unmarshal([]byte(written), &back); err != nil {
			t.Fatal(err)
		}
		if back.Code != f.Code || back.Summary != f.Summary || !slices.Equal(back.Fix.Lines(),
			f.Fix.Lines()) || back.Fix[0].Kind != fix.KindNote {
			t.Errorf("read %+v from %s", back, written)
		}
	}
}
