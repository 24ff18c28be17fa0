package merge

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/key"
)

// Source is a recording that is being read, from its beginning. Events come
// nearly in order of time: one may be later than others by a fraction of a
// second.
type Source interface {
	// Next returns the next event, and how many events are known to be missing
	// between the previous one and this. The event is valid until the next call.
	// At the end of the recording the error is [io.EOF]; events missing at the end
	// are told with it.
	Next() (e *probe.Event, lost uint64, err error)
	Close() error
}

// A Describer is a [Source] that, once it has been read to its end, knows more of
// its host than was known before.
type Describer interface{ Describe(h *Host) }

// Recording is what one host recorded.
type Recording struct {
	Name string // of the file, for errors and results
	Host Host
	// Open begins to read. It is called twice, one after the other.
	Open func() (Source, error)
}

// Host is what a recording says of where it was made.
type Host struct {
	Name       string // host name
	Interface  string
	Config     string // path of the configuration, "" if there is none
	PublicKey  key.Public
	ListenPort uint16
	FwMark     uint32
	// Addrs are the host's own addresses, for telling whether somebody translated
	// them on the way; none if they are not known.
	Addrs []netip.Addr
	Peers []Peer
	// Start and End are when recording began and ended, by the host's clock. A zero
	// End is the time of the last event.
	Start, End time.Time
	// Filtered: not everything was recorded, so that what is missing says nothing.
	Filtered bool
	// Saw is what was found out beside the events while this was recorded.
	Saw []evidence.Observations
}

// Peer is one peer of a recording's host, by the ID that events name it with.
type Peer struct {
	ID         probe.PeerID
	Key        key.Public
	Name       string
	AllowedIPs []netip.Prefix
	Endpoint   netip.AddrPort // when recording began; zero if none was known
	Written    string         // as configured
	Handshake  time.Time      // the latest completed one by then; zero if none
}

// Window is how long a message may be under way, at most, to be recognised
// without fail. A later one is if it is among the lost messages that are kept.
const Window = 4 * time.Second

// Errors that say that recordings cannot be merged, for errors.Is.
var (
	ErrOne       = errors.New("one recording: there is nothing to merge it with")
	ErrSameKey   = errors.New("the recordings are of one public key")
	ErrUnrelated = errors.New("the recordings have nothing in common")
	ErrCorrupt   = errors.New("the recording cannot be right")
)

// label is how people know the host: by its name, else by its key.
func (h *Host) label() string {
	if h.Name != "" {
		return h.Name
	}
	return diagnose.PeerLabel(h.PublicKey.String(), "")
}

// knows reports whether h has a peer with that key.
func (h *Host) knows(k key.Public) bool {
	for i := range h.Peers {
		if h.Peers[i].Key == k {
			return true
		}
	}
	return false
}

// check refuses recordings that cannot be told apart.
func check(recs []Recording) error {
	if len(recs) < 2 {
		return ErrOne
	}
	if len(recs) > maxHosts {
		return fmt.Errorf("merge %d recordings: %d are the most", len(recs), maxHosts)
	}
	of := make(map[key.Public]*Recording)
	for i := range recs {
		r := &recs[i]
		if r.Host.PublicKey.IsZero() {
			return fmt.Errorf("merge %s: it does not say whose it is: no public key", r.Name)
		}
		for _, at := range []time.Time{r.Host.Start, r.Host.End} {
			if !at.IsZero() && (at.Before(time.Unix(0, 0)) || at.After(time.Unix(0, latestTime))) {
				return fmt.Errorf("merge %s: %w: it says that it was made at %v", r.Name, ErrCorrupt, at)
			}
		}
		if o := of[r.Host.PublicKey]; o != nil {
			return fmt.Errorf("merge %s and %s: %w, %s: of one host, or of two that use one key", o.Name, r.Name, ErrSameKey, r.Host.PublicKey.String())
		}
		of[r.Host.PublicKey] = r
	}
	return nil
}

// maxHosts bounds how many recordings are merged at a time.
const maxHosts = 64
