package services

import (
	"fmt"
	"strings"
	"time"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/internal/proxy"
	"github.com/wgnode/wgnode/node/internal/proxy/transit"
	"github.com/wgnode/wgnode/probe"
)

// peerRouting is the kind of the service that passes on what peers send to others.
const peerRouting = "routing for peers"

// openRouting passes on what the routes allow, and tells of it at B5 and B6.
func (s *Services) openRouting(w wanted, opt proxy.Options) (*service, error) {
	var rules transit.Rules
	var words []string
	for _, r := range w.routes {
		rule, err := ruleOf(r)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
		words = append(words, r.String())
	}
	r, err := transit.Open(s.of.Stack, rules, s.recordForward, opt)
	if err != nil {
		return nil, err
	}
	at := ""
	if len(words) > 0 {
		at = fmt.Sprintf("%s to %s", w.kind, strings.Join(words, ", "))
	}
	return s.start(w, at, r.Serve), nil
}

// ruleOf refuses a route that has no text, which a caller may have built: what its
// zero values would allow was perhaps not meant.
func ruleOf(r config.PeerRoute) (transit.Rule, error) {
	if again, err := config.ParsePeerRoute(r.String()); err != nil || again != r {
		return transit.Rule{}, fmt.Errorf("route for peers %q, ports %d to %d, is not one that can be written", r, r.First, r.Last)
	}
	proto := map[string]uint8{"tcp": probe.ProtoTCP, "udp": probe.ProtoUDP}[r.Protocol]
	return transit.Rule{Prefix: r.Prefix, Proto: proto, First: r.First, Last: r.Last}, nil
}

// recordForward completes an event of the forwarder and records it.
func (s *Services) recordForward(e *probe.Event) {
	peer := e.InnerSrc
	if e.Checkpoint == probe.B6 && !e.Dropped() {
		peer = e.InnerDst
	}
	if r, ok := s.of.Device.Lookup(peer.Netip()); ok {
		e.Peer = r.Peer
	}
	e.Time = time.Now().UnixNano()
	s.of.Device.Recorder().Record(probe.LaneForward, e)
}

// Routes are the hosts beyond the node that peers may reach, in words.
func (s *Services) Routes() (words []string) {
	for _, r := range s.of.Config().Services.Join(s.of.Extra).Routes {
		words = append(words, r.String())
	}
	return words
}
