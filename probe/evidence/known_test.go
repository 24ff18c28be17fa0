package evidence_test

import (
	"testing"

	"github.com/wgnode/wgnode/probe/evidence"
)

// Nobody who is off the path can make evidence that proves: claims and inferences do not,
// however much of what proves stands beside them.
func TestCertain(t *testing.T) {
	proof := evidence.Kernel.Decides("a rule dropped it")
	for _, test := range []struct {
		name  string
		lines []evidence.Line
		want  bool
	}{
		{name: "nothing"},
		{name: "nothing decides", lines: []evidence.Line{evidence.Authenticated.Says("a handshake was completed")}},
		{name: "a rule", lines: []evidence.Line{proof}, want: true},
		{name: "decrypted", lines: []evidence.Line{evidence.Authenticated.Decides("100%% of them")}, want: true},
		{name: "quotes our index", lines: []evidence.Line{evidence.Secret.Decides("ICMP")}, want: true},
		{name: "a claim", lines: []evidence.Line{evidence.Claimed.Decides("ICMP")}},
		{name: "a claim, told beside", lines: []evidence.Line{proof, evidence.Claimed.Says("ICMP")}, want: true},
		{name: "one of two is missing", lines: []evidence.Line{proof, evidence.Inferred.Decides("nothing came")}},
		{name: "of no kind", lines: []evidence.Line{{Text: "?", Decides: true}}},
	} {
		if got := evidence.Certain(test.lines); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
