package wgtool

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestResolver(t *testing.T) {
	var said strings.Builder
	var pauses []time.Duration
	var answers []error
	r := newResolver(&said)
	r.retries = ""
	r.wait = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
	r.lookup = func(context.Context, string) ([]netip.Addr, error) {
		err := answers[0]
		answers = answers[1:]
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, err
	}
	busy, gone := &net.DNSError{IsTemporary: true}, &net.DNSError{IsNotFound: true}

	answers = []error{busy, busy, nil}
	got, err := r.endpoint(t.Context(), "vpn.example:5")
	if err != nil || got != netip.MustParseAddrPort("192.0.2.1:5") {
		t.Errorf("%v, %v", got, err)
	}
	const want = "Temporary failure in name resolution: `vpn.example:5'. Trying again in 1.00 seconds...\n" +
		"Temporary failure in name resolution: `vpn.example:5'. Trying again in 1.20 seconds...\n"
	if said.String() != want || !slices.Equal(pauses, []time.Duration{time.Second, 1200 * time.Millisecond}) {
		t.Errorf("waits %v and says %q", pauses, said.String())
	}
	for _, test := range []struct {
		answers []error
		want    string
	}{
		{[]error{busy, gone}, "Name or service not known: `vpn.example:5'"},
		{[]error{busy, busy, busy, busy}, "Temporary failure in name resolution: `vpn.example:5'"},
	} {
		answers = test.answers
		if _, err := r.endpoint(t.Context(), "vpn.example:5"); err == nil || err.Error() != test.want || len(answers) > 0 {
			t.Errorf("error %v, want %s; attempts left: %d", err, test.want, len(answers))
		}
	}
}
