package handshake

import (
	"crypto/rand"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

// A private key is found by its public key among the latest draws, once.
func TestDraws(t *testing.T) {
	d := &draws{inner: rand.Reader}
	draw := func() (k key.Private) {
		if n, err := d.Read(k[:]); n != len(k) || err != nil {
			t.Fatal(n, err)
		}
		return k
	}
	old := draw()
	var keys []key.Private
	for range drawsKept {
		keys = append(keys, draw())
	}
	if n, err := d.Read(make([]byte, 24)); n != 24 || err != nil { // no key
		t.Error(n, err)
	}
	for _, k := range keys {
		public := k.Public()
		if got, ok := d.find(public[:]); !ok || got != k {
			t.Error("a key is not found")
		}
		if _, ok := d.find(public[:]); ok {
			t.Error("a key is found twice")
		}
	}
	public := old.Public()
	if _, ok := d.find(public[:]); ok {
		t.Error("a key is kept for too long")
	}
	if KeepsSessionKeys() {
		t.Error("session keys are kept although nobody has asked for it")
	}
}
