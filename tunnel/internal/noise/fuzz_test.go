package noise

import (
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Whatever comes as an initiation, it is read or refused. Only what a holder of our
// public key has made is read at all.
func FuzzInitiation(f *testing.F) {
	f.Add(make([]byte, probe.LenInitiation))
	f.Add([]byte{1, 0, 0, 0})
	low := make([]byte, probe.LenInitiation)
	low[0], low[InitiationEphemeral] = 1, 1 // a point of low order
	f.Add(low)
	own := NewIdentity(key.GeneratePrivate())
	mac := own.MAC1
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) == probe.LenInitiation && MAC1Valid(msg, &mac) {
			t.Error("a mac1 that was guessed is valid")
		}
		in := ReadInitiation(msg, own)
		if in.OK {
			t.Errorf("an initiation that nobody made is from %x", in.Static)
		}
		// What it holds, from whoever, has a time or has none.
		copy(in.Static[:], msg)
		if _, ok := in.Timestamp(own); ok {
			t.Error("a time that nobody made is read")
		}
	})
}
