//go:build linux

package routing

import (
	"net/netip"
	"testing"
)

// What a decision can be taken away by is told, but not where that is what makes an address
// this host's own.
func TestEvidenceRemovesNoOwnAddress(t *testing.T) {
	for _, c := range []struct {
		name  string
		table Table
		kind  Type
		want  string
	}{
		{name: "own address", table: Local, kind: TypeLocal},
		{name: "broadcast", table: Local, kind: TypeBroadcast},
		{name: "another table", table: 51820, kind: TypeUnicast, want: "ip -4 route del 10.0.0.1 table 51820"},
	} {
		r := &Route{Dst: netip.MustParsePrefix("10.0.0.1/32"), Table: c.table, Type: c.kind}
		got := new(Snapshot).Evidence(&Walk{Decision: Decision{Type: c.kind, Table: c.table, Route: r}}).Remove
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
