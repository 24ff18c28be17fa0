package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// A file that was changed and not applied comes first in the fix where it can be why, and is
// not spoken of elsewhere.
func TestUnapplied(t *testing.T) {
	silent := func() *story { return tell(probe.SideA).asks().calls().after(5 * time.Second).calls() }
	for _, test := range []struct {
		name string
		s    *story
		what diagnose.FiledKey
		told bool
	}{
		{name: "endpoint", s: silent(), what: diagnose.FiledEndpoint, told: true},
		{name: "private key", s: silent(), what: diagnose.FiledPrivateKey, told: true},
		{name: "endpoint, and it is reached", s: tell(probe.SideA).connects().asks(), what: diagnose.FiledEndpoint},
		{name: "another peer, and this one's data is not answered", s: tell(probe.SideA).connects().asks(), what: diagnose.FiledPeer, told: true},
		{name: "another peer, and this one refuses", what: diagnose.FiledPeer,
			s: tell(probe.SideA).connects().asks().inner(probe.A6, probe.SeamTUNWrite, target, here, probe.TCPRst)},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.s.Unapplied = []diagnose.Unapplied{{What: test.what, Text: "wg0.conf has it otherwise"}}
			v, _ := test.s.judge()
			lines := v.Fix.Lines()
			if told := len(lines) > 1 && lines[1] == "wgnode reload wg0"; told != test.told {
				t.Errorf("%s: %v, want %v:\n%s", v.Code, told, test.told, strings.Join(lines, "\n"))
			}
		})
	}
}

// A stranger whom the file has by now is one that is not applied.
func TestStrangerInTheFile(t *testing.T) {
	s := tell(probe.SideB).knocks(probe.UnknownPeer, key.Public{1, 2, 3})
	s.Config, s.Strangers[0].Filed = "/etc/wireguard/wg0.conf", "carol"
	found := Strangers(s.Facts, s.Strangers)
	if len(found) != 1 || !strings.Contains(found[0].Summary, "wg0.conf has that key as carol") ||
		found[0].Fix.Lines()[1] != "wgnode reload wg0" {
		t.Errorf("%+v", found)
	}
}
