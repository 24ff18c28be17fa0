package setup

import (
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/node/internal/uplink"
)

// Ways are how this host reaches the internet.
type Ways struct {
	Four, Six netip.Addr // its addresses there, invalid: none
	Links     []string   // by which it goes, without duplicates
}

// Look finds them, in the network namespace of the calling thread.
func Look() (Ways, error) {
	s, err := uplink.Look(nil, 0)
	if err != nil {
		return Ways{}, err
	}
	w := Ways{Four: s.Default4.Source, Six: s.Default6.Source}
	for _, l := range []string{s.Default4.Link, s.Default6.Link} {
		if l != "" && !slices.Contains(w.Links, l) {
			w.Links = append(w.Links, l)
		}
	}
	return w, nil
}
