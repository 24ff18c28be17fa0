package noise

import (
	"testing"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/internal/tunneltest"
)

// BenchmarkReadInitiation is what a message that claims to be an initiation costs who reads it.
func BenchmarkReadInitiation(b *testing.B) {
	own := NewIdentity(key.GeneratePrivate())
	msg := tunneltest.InitiationTo(b, &own.MAC1)
	msg[InitiationEphemeral] = 9
	b.ReportAllocs()
	for b.Loop() {
		if ReadInitiation(msg, own).OK {
			b.Fatal("nobody has made it")
		}
	}
}
