package rules

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// The order decides which of several causes is the verdict, so that a change of it is a
// change of verdicts.
func TestOrder(t *testing.T) {
	for v, want := range map[view]string{
		asA: `large packets vanish, answered, another's packet answered, dropped by the tunnel here, sent back,
			answer says no, no peer for the destination, dropped before the tunnel, dropped by the kernel before the tunnel,
			not routed into the tunnel,
			rewritten past the tunnel, no private key, no endpoint,
			endpoint routed into the tunnel, endpoint not routed,
			dropped by the kernel on the way out, socket refuses, dropped on the way out,
			response not decrypted, dropped on the way in, filtered on the way in, refused on the way in,
			dropped by the kernel on the way in, ICMP error,
			source of the reply not allowed, reply dropped behind the tunnel,
			reply dropped by the kernel, no response, reply not delivered, no reply,
			not entered, claimed on the way in`,
		asB: `answer sent, dropped by the tunnel here, sent back, not routed by the node, refused by this host, answer says no,
			initiation replayed, endpoint flips, source not allowed, answers leave elsewhere,
			dropped by the kernel on the way out, socket refuses,
			dropped on the way out, initiated again and again, not forwarded, dropped by the kernel behind the tunnel,
			not returned, dropped by the kernel on its way back, neighbor silent,
			no answer behind this host, no answer to the node, no answer here, dropped on the way in, filtered on the way in, refused on the way in,
			dropped by the kernel on the way in, claimed on the way in`,
		peers: `no private key, endpoint flips, source not allowed, initiations of a peer replayed,
			answers leave elsewhere, no endpoint, endpoint routed into the tunnel, endpoint not routed,
			dropped by the kernel on the way out, socket refuses, dropped on the way out,
			response not decrypted, dropped on the way in, filtered on the way in, refused on the way in,
			dropped by the kernel on the way in, ICMP error,
			no response, peer initiates again and again, session up, claimed on the way in`,
	} {
		want := strings.Join(strings.Fields(want), " ")
		if diff := cmp.Diff(strings.Split(want, ", "), inOrder(t, table, v)); diff != "" {
			t.Errorf("view %b is asked otherwise than it was (-want +got):\n%s", v, diff)
		}
	}
}

// Rules may be declared anywhere: what they are after makes the order, but for those that
// cannot both apply.
func TestOrderFollowsFromAfter(t *testing.T) {
	reversed := slices.Clone(table)
	slices.Reverse(reversed)
	exclusive := func(name string) string { // an endpoint is routed, or is not
		return strings.Replace(name, "endpoint not routed", "endpoint routed into the tunnel", 1)
	}
	for _, v := range []view{asA, asB, peers} {
		want, got := inOrder(t, table, v), inOrder(t, reversed, v)
		for i := range want {
			if exclusive(want[i]) != exclusive(got[i]) {
				t.Errorf("view %b: %q is asked in place of %q if the table is turned around", v, got[i], want[i])
			}
		}
	}
}

func inOrder(t *testing.T, rules []rule, v view) []string {
	t.Helper()
	in, err := order(rules, v)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(in))
	for i := range in {
		names[i] = in[i].name
	}
	return names
}

func TestOrderRejects(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules []rule
		want  string // "" if the table is in order
	}{
		{name: "stable", rules: []rule{{name: "b", views: asA}, {name: "a", views: asA}}},
		{name: "two rules of a name", rules: []rule{{name: "a", views: asA}, {name: "a", views: peers}}, want: `two are called "a"`},
		{name: "a name that is not there", rules: []rule{{name: "a", views: asA, after: names("c")}}, want: `"c", which is not a rule`},
		{name: "after itself", rules: []rule{{name: "a", views: asA, after: names("a")}}, want: `"a" is after itself`},
		{name: "cycle", want: `"b" is after itself`, rules: []rule{{name: "first", views: asA}, {name: "b", views: asA, after: names("c")},
			{name: "c", views: asA, after: names("b", "first")}}},
		{name: "cycle over two views", rules: []rule{{name: "b", views: asA | asB, after: names("c")},
			{name: "c", views: peers, after: names("b")}}},
	} {
		_, err := order(test.rules, asA)
		if got := err != nil; got != (test.want != "") || got && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// What a rule finds is declared, and what is declared is found somewhere.
func TestEveryCodeHasRules(t *testing.T) {
	elsewhere := map[diagnose.Code]string{
		diagnose.Idle:                  "where no rule finds anything",
		diagnose.SNATMissing:           "a candidate: the evidence is on another host",
		diagnose.DNSUnreachable:        "finding",
		diagnose.DNSNotApplied:         "finding",
		diagnose.DNSLeak:               "finding",
		diagnose.ClockSkew:             "finding",
		diagnose.AddressConflict:       "finding",
		diagnose.DuplicateAddress:      "finding",
		diagnose.NoKeepalive:           "finding",
		diagnose.FullTunnelOneFamily:   "finding",
		diagnose.MTUTooLarge:           "finding",
		diagnose.NotAsApplied:          "finding",
		diagnose.OverlappingAllowedIPs: "node/config",
		diagnose.KeyIsOwn:              "node/config",
		diagnose.WorldReadableConfig:   "node/config",
		diagnose.NodeDied:              "the journal of a node",
	}
	found := make(map[diagnose.Code]bool)
	for _, r := range table {
		if len(r.finds) == 0 || (r.views == 0) != (r.find == nil) {
			t.Errorf("%q is not complete", r.name)
		}
		for c, at := range r.finds {
			if !slices.Contains(diagnose.Codes(), c) {
				t.Errorf("%q finds %s, which is not declared", r.name, c)
			}
			if len(at) == 0 {
				t.Errorf("%q does not say at which checkpoints it finds %s", r.name, c)
			}
			found[c] = true
		}
	}
	for _, c := range diagnose.Codes() {
		if found[c] == (elsewhere[c] != "") {
			t.Errorf("%s: found by a rule: %v, found elsewhere: %q", c, found[c], elsewhere[c])
		}
	}
}

// Facts without anything in them are judged all the same.
func TestJudgeNothing(t *testing.T) {
	for _, f := range []*diagnose.Facts{{Peer: &diagnose.Peer{}}, {Flow: &diagnose.Flow{}}, {Flow: &diagnose.Flow{}, Side: probe.SideB}} {
		if v, settled := Judge(f, time.Time{}); v.Code == "" || v.Summary == "" {
			t.Errorf("%+v, settled %v", v, settled)
		}
	}
}

func TestCheckpoints(t *testing.T) {
	for _, test := range []struct {
		code diagnose.Code
		want []probe.Checkpoint
	}{
		{code: diagnose.PSKMismatch, want: []probe.Checkpoint{probe.A3}},
		{code: diagnose.UnderlayInputFirewall, want: []probe.Checkpoint{probe.B2, probe.A3, probe.B3, probe.A5}},
		{code: diagnose.Healthy},
		{code: diagnose.LostOnPath, want: []probe.Checkpoint{probe.B1, probe.A3, probe.B3, probe.A5}},
		{code: diagnose.ClockSkew},
	} {
		if got := Checkpoints(test.code); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.code, got, test.want)
		}
	}
}
