package overview

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
)

// Request says which peers of a tunnel are wanted. The zero Request is for all.
type Request struct {
	// Peer is a name, a public key or the beginning of one: those peers alone.
	Peer string
	// States are the states of those that are wanted; none: any.
	States []diagnose.State
	Sort   Sort
	// Limit bounds how many peers are told of; 0: it does not.
	Limit int
	// Few has idle peers left out, and counted, where there are more peers than this; 0: none are.
	// A request for a peer or for states leaves out none.
	Few int
	// Wait is how long to wait for verdicts where there are none of now. Without, those that
	// are there are told, and others are found out for the next request.
	Wait time.Duration
}

// Sort is an order of peers. Whatever it is, peers that are the same in it are in the order of
// their names.
type Sort string

// The orders.
const (
	SortFaults    Sort = ""          // faults first, then those that do something, then the idle
	SortName      Sort = "name"      // by name, or by key where there is none
	SortHandshake Sort = "handshake" // the latest first
	SortRate      Sort = "rate"      // both directions together, most first
	SortBytes     Sort = "bytes"     // as well
	SortRTT       Sort = "rtt"       // the longest first
)

// Sorts are the words that [ParseSort] takes.
func Sorts() []string { return []string{"faults", "name", "handshake", "rate", "bytes", "rtt"} }

// States are the states that a peer can have, in the order of [SortFaults].
func States() []diagnose.State {
	return []diagnose.State{diagnose.StateFailing, diagnose.StateDegraded, diagnose.StateHandshaking, diagnose.StateUp,
		diagnose.StateStale, diagnose.StateNeverSeen}
}

// ParseSort reads an order.
func ParseSort(s string) (Sort, error) {
	if !slices.Contains(Sorts(), s) {
		return "", fmt.Errorf("%q is no order of peers: want %s", s, strings.Join(Sorts(), ", "))
	}
	if s == "faults" {
		return SortFaults, nil
	}
	return Sort(s), nil
}

// ParseState reads a state of a peer.
func ParseState(s string) (diagnose.State, error) {
	if !slices.Contains(States(), diagnose.State(s)) {
		var words []string
		for _, st := range States() {
			words = append(words, string(st))
		}
		return "", fmt.Errorf("%q is no state of a peer: want %s", s, strings.Join(words, ", "))
	}
	return diagnose.State(s), nil
}

// Query is the request as the query of a URL.
func (r *Request) Query() url.Values {
	q := make(url.Values)
	if r.Peer != "" {
		q.Set("peer", r.Peer)
	}
	for _, s := range r.States {
		q.Add("state", string(s))
	}
	if r.Sort != SortFaults {
		q.Set("sort", string(r.Sort))
	}
	for name, n := range map[string]int{"limit": r.Limit, "few": r.Few} {
		if n > 0 {
			q.Set(name, strconv.Itoa(n))
		}
	}
	if r.Wait > 0 {
		q.Set("wait", r.Wait.String())
	}
	return q
}

// ParseRequest reads what [Request.Query] makes. A key that it does not know is an error: who
// asks, perhaps of a later release, would think it was heeded.
func ParseRequest(q url.Values) (Request, error) {
	var r Request
	for name, values := range q {
		var err error
		last := values[len(values)-1]
		switch name {
		case "peer":
			r.Peer = last
		case "state":
			for _, v := range values {
				var s diagnose.State
				if s, err = ParseState(v); err != nil {
					break
				}
				r.States = append(r.States, s)
			}
		case "sort":
			r.Sort, err = ParseSort(last)
		case "limit":
			r.Limit, err = parseCount(last)
		case "few":
			r.Few, err = parseCount(last)
		case "wait":
			r.Wait, err = time.ParseDuration(last)
		default:
			err = fmt.Errorf("unknown key %q", name)
		}
		if err != nil {
			return r, fmt.Errorf("read request: %w", err)
		}
	}
	return r, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number of peers", s)
	}
	return n, nil
}
