package tunnel

import (
	"testing"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// BenchmarkReadInitiation is what a message that claims to be an initiation costs who reads it.
func BenchmarkReadInitiation(b *testing.B) {
	own := newIdentity(key.GeneratePrivate())
	msg := tunneltest.InitiationTo(b, &own.mac1)
	msg[initEphemeral] = 9
	b.ReportAllocs()
	for b.Loop() {
		if readInitiation(msg, own).ok {
			b.Fatal("nobody has made it")
		}
	}
}
