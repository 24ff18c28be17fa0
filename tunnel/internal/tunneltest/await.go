package tunneltest

import (
	"fmt"
	"testing"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/patience"
)

// Await reads events until ok accepts one.
func Await(t testing.TB, s *probe.Subscription, what string, ok func(*probe.Event) bool) probe.Event {
	t.Helper()
	ctx := patience.Context(t)
	buf := make([]probe.Event, 1) // none may be taken and not looked at
	var seen []string
	for {
		n, err := s.Read(ctx, buf)
		if err != nil {
			t.Fatalf("no event: %s; seen:\n%v", what, seen)
		}
		for i := range buf[:n] {
			if ok(&buf[i]) {
				return buf[i]
			}
			seen = append(seen, fmt.Sprintf("%v %v %v %v peer %d\n", buf[i].Seam, buf[i].Checkpoint, buf[i].Kind, buf[i].Reason, buf[i].Peer))
		}
	}
}
