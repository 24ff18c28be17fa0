package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

func TestParseWG(t *testing.T) {
	pub := key.GeneratePrivate().Public()
	c, err := ParseWG(strings.NewReader("[Interface]\nFwMark = off\n[Peer]\nPublicKey = "+pub.Base64()+"\n"), "wg0")
	if err != nil {
		t.Fatal(err)
	}
	if i := &c.Interface; !i.Given("FwMark") || i.Given("ListenPort") {
		t.Error("given is not what was given")
	}
	if p := &c.Peers[0]; !p.Given("PublicKey") || p.Given("PersistentKeepalive") {
		t.Error("given to the peer is not what was given")
	}
	// All that is wg-quick's is told at once.
	_, err = ParseWG(strings.NewReader("[Interface]\nAddress = 10.0.0.1\nPostUp = true\n"), "wg0")
	var faults Errors
	if !errors.As(err, &faults) || len(faults) != 2 || faults[1].Line != 3 || faults[1].Key != "PostUp" {
		t.Errorf("error %v, want one for Address and one for PostUp", err)
	}
}

func TestBuilder(t *testing.T) {
	secret := key.GeneratePrivate().Base64()
	pub := key.GeneratePrivate().Public()
	b := NewBuilder()
	set := func(key, value string) {
		t.Helper()
		if err := b.Set(key, value); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	refuse := func(key, value string) {
		t.Helper()
		err := b.Set(key, value)
		if err == nil {
			t.Errorf("%s takes %q", key, value)
		} else if strings.Contains(err.Error(), secret[1:20]) {
			t.Errorf("the error shows a key: %v", err)
		}
	}
	set("PrivateKey", secret)
	set("FwMark", "0x10")
	refuse("FwMark", "x")
	refuse("FwMark", "1 2")
	refuse("FwMark", "")
	refuse("MTU", "1400")
	refuse("PublicKey", pub.Base64())
	refuse("AllowedIPs", "")
	b.BeginPeer()
	refuse("PresharedKey", secret[1:])
	refuse("Endpoint", secret)
	refuse("ListenPort", "1")
	set("PublicKey", pub.Base64())
	set("AllowedIPs", "+10.0.0.0/8")
	c := b.Config()
	if c.Interface.PrivateKey.Base64() != secret || c.Interface.FwMark != 16 || len(c.Peers) != 1 {
		t.Fatalf("built %+v", c)
	}
	if p := &c.Peers[0]; p.PublicKey != pub || !p.Incremental || len(p.AllowedIPs) != 1 || p.Given("Endpoint") && p.Endpoint != "" {
		t.Errorf("built %+v", p)
	}
	b.BeginPeer()
	set("AllowedIPs", "")
	if p := &b.Config().Peers[1]; !p.Given("AllowedIPs") || p.Incremental || len(p.AllowedIPs) > 0 {
		t.Errorf("no AllowedIPs are %+v", p)
	}
}

// What is stripped is for wg: a file of wg-quick without faults then has none
// for wg either, and wg reads the same in it.
func FuzzStrip(f *testing.F) {
	pub := key.GeneratePrivate().Public().Base64()
	f.Add("[Interface]\nAddress = 10.0.0.1/8\nListenPort = 5 # x\nPostUp = a = b\n[Peer]\nPublicKey = " + pub + "\nAllowedIPs = 10.0.0.0/8\n")
	f.Add("# x\n [interface]\r\nSaveConfig = true\r\nFwMark=0x5\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := Parse(strings.NewReader(text), "wg0.conf")
		if err != nil || strings.HasPrefix(text, "\ufeff") {
			return // wg-quick and wg know nothing of byte order marks
		}
		for line := range strings.Lines(text) {
			// The parser forgives white space within names, wg-quick does not.
			name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
			if name = trim(name); squeeze(name) != name && !strings.Contains(name, "#") {
				return
			}
		}
		left, err := Strip(strings.NewReader(text), "wg0.conf")
		if err != nil {
			t.Fatalf("strip %q: %v", text, err)
		}
		again, err := ParseWG(strings.NewReader(string(left)), "wg0.conf")
		if err != nil {
			t.Fatalf("%q is left of %q: %v", left, text, err)
		}
		if again.Interface.ListenPort != whole.Interface.ListenPort || again.Interface.FwMark != whole.Interface.FwMark ||
			len(again.Peers) != len(whole.Peers) {
			t.Errorf("%q is left of %q", left, text)
		}
	})
}
