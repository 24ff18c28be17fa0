package cli

import (
	"testing"
)

// What is not a code but looks like one is hinted at.
func TestLikeCode(t *testing.T) {
	for word, want := range map[string]string{
		"psk-missmatch":  "did you mean the verdict `wgnode help psk-mismatch`?",
		"NO-RESPONES":    "did you mean the verdict `wgnode help no-response`?",
		"mtu":            `verdicts with "mtu" in their names: mtu-blackhole, mtu-too-large`,
		"example.com":    "",
		"no":             "",
		"192.168.200.22": "",
	} {
		if got := LikeCode(word, "wgnode help"); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
