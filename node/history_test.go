package node

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/history"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/patience"
	"github.com/wgnode/wgnode/probe/timeline"
)

// That a peer failed, why, and that it came back stands in the history although nobody looked, and no
// secret does.
func TestHistory(t *testing.T) {
	psk, wrong := key.GeneratePreshared(), key.GeneratePreshared()
	m := &monitored{a: key.GeneratePrivate(), b: key.GeneratePrivate()}
	m.bob = startMonitored(t, t.TempDir(), parse(t, "bob", fmt.Sprintf("[Interface]\nPrivateKey=%s\nAddress=10.0.0.2/24\n"+
		"[Peer]\nPublicKey=%s\nPresharedKey=%s\nAllowedIPs=10.0.0.1/32\n", m.b.Base64(), m.a.Public(), psk.Base64())), config.Listen{})
	dir := t.TempDir()
	m.alice = startWith(t, t.TempDir(), m.aliceWith(t, wrong), Options{HistoryDir: dir})

	bob := func() timeline.Peer {
		t.Helper()
		lines, err := history.Read(dir, "alice")
		if err != nil {
			t.Fatal(err)
		}
		r := lines.Report("alice", time.Now().Add(-time.Hour), time.Now())
		if len(r.Peers) != 1 || r.Peers[0].Peer != m.b.Public() || r.Peers[0].Name != "bob" {
			return timeline.Peer{}
		}
		return r.Peers[0]
	}
	becomes := func(s diagnose.State) {
		t.Helper()
		patience.See(t, "bob "+string(s)+" in the history", func() (string, bool) {
			p := bob()
			now := p.Now()
			return fmt.Sprintf("%+v", p), now != nil && now.State == s && p.Failures == 1 && p.Codes[diagnose.PSKMismatch] == 1
		})
	}
	becomes(diagnose.StateFailing)
	without := m.aliceWith(t, psk)
	without.Peers = nil
	for _, cfg := range []*config.Config{without, m.aliceWith(t, psk)} { // which has it shake hands at once
		if err := m.alice.Reload(t.Context(), cfg, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	becomes(diagnose.StateUp)
	if err := m.alice.stop(); err != nil {
		t.Error(err)
	}
	if p := bob(); p.Now() != nil || p.Failures != 1 || p.Periods[len(p.Periods)-1].Cut {
		t.Errorf("after the node has stopped: %+v", p)
	}
	text, err := os.ReadFile(filepath.Join(dir, "alice.history"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []interface{ Base64() string }{m.a, m.b, psk, wrong} {
		if strings.Contains(string(text), secret.Base64()) {
			t.Error("the history tells a key")
		}
	}
}
