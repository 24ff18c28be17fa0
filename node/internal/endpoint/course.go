package endpoint

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/wgnode/wgnode/tunnel"
)

const (
	staleAfter = 135 * time.Second // see Options.StaleAfter
	// unanswered is for how long an address may leave our initiations, of which
	// there is one every 5 s, without an answer.
	unanswered = 15 * time.Second
	// unansweredOfSeveral is the same where the name has other addresses: two initiations.
	unansweredOfSeveral = 7 * time.Second
	// tryingFor is how long after an initiation the device still counts as
	// trying: it has given up if there was no other.
	tryingFor = 20 * time.Second

	// The time between two questions about a name grows by 6/5 each time, as
	// wg's own does: between these bounds while it is not known at all,
	firstRetry, lastRetry = time.Second, 20 * time.Second
	// and between these while it is known, but its owner does not answer.
	firstAgain, lastAgain = 5 * time.Second, time.Minute
)

// course is how far a follower has got with one endpoint.
type course struct {
	asked time.Time // the latest question
	delay time.Duration
	next  time.Time    // of the next question
	set   time.Time    // when the follower chose an address
	tried []netip.Addr // those that had their turn and did not answer
}

// wait sets the time of the next question. A little chance keeps the nodes of a
// site from asking in step.
func (c *course) wait(now time.Time, known bool) {
	c.asked = now
	least, most := firstRetry, lastRetry
	if known {
		least, most = firstAgain, lastAgain
	}
	c.delay = min(max(c.delay*6/5, least), most)
	c.next = now.Add(c.delay + rand.N(c.delay/5) - c.delay/10)
}

// choose returns which of a name's addresses is to be used. The current one is
// kept if it is among them, unless it is silent; then it is the next one's turn.
func (c *course) choose(addrs []netip.AddrPort, current netip.AddrPort, silent bool) netip.AddrPort {
	c.tried = slices.DeleteFunc(c.tried, func(a netip.Addr) bool {
		return !slices.ContainsFunc(addrs, func(b netip.AddrPort) bool { return a == b.Addr() })
	})
	if slices.Contains(addrs, current) {
		if !silent || len(addrs) == 1 {
			return current
		}
		c.tried = append(c.tried, current.Addr())
	}
	for _, a := range addrs {
		if !slices.Contains(c.tried, a.Addr()) {
			return a
		}
	}
	// All had their turn. Begin again, but not with the one just tried.
	c.tried = []netip.Addr{current.Addr()}
	for _, a := range addrs {
		if a != current {
			return a
		}
	}
	return addrs[0]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isStale reports whether a peer should be heard of and is not: it has not been
// for long, or does not answer our initiations.
func isStale(s tunnel.PeerState, keepalive bool, after, unanswered time.Duration, now time.Time) bool {
	if isTrying(s, now) && now.Sub(s.PendingSince) >= unanswered {
		return true
	}
	old := !s.Established.IsZero() && now.Sub(s.Established) > after
	return old && (keepalive || isTrying(s, now))
}

// isTrying reports whether initiations are being sent and not answered.
func isTrying(s tunnel.PeerState, now time.Time) bool {
	return s.InitiationPending && s.PendingSince.After(s.Established) && now.Sub(s.Initiated) < tryingFor
}
