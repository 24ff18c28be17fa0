package uplink

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/wgnode/wgnode/probe"
)

// Difference is what distinguishes two pictures.
type Difference struct {
	// Changes are for people. Ways that changed alike are told of once.
	Changes []probe.NetworkChange
	// Moved are the endpoints to which packets now leave in another way, in an
	// order of their own: those peers do not know yet where this host is.
	Moved []netip.Addr
}

// Compare tells what has changed. was is the earlier picture.
func Compare(was, is State) Difference {
	var d Difference
	back := d.links(was, is)
	for _, w := range [][2]Way{{was.Default4, is.Default4}, {was.Default6, is.Default6}} {
		if w[0].Gateway != w[1].Gateway || w[0].Link != w[1].Link {
			d.Changes = append(d.Changes, probe.NetworkChange{Change: probe.ChangeDefaultRoute,
				OldAddr: w[0].Gateway, OldLink: w[0].Link, NewAddr: w[1].Gateway, NewLink: w[1].Link})
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(is.Ways), netip.Addr.Compare) {
		new := is.Ways[e]
		old, known := was.Ways[e]
		if !known {
			continue // it is the endpoint that is new
		}
		d.source(old, new, is)
		old.MTU = new.MTU
		if new != (Way{}) && (new != old || back[new.Link]) {
			d.Moved = append(d.Moved, e)
		}
	}
	return d
}

// source tells of a way whose source changed, once.
func (d *Difference) source(old, new Way, is State) {
	if old.Source == new.Source && old.Link == new.Link {
		return
	}
	c := probe.NetworkChange{Change: probe.ChangeSource,
		OldAddr: old.Source, OldLink: old.Link, NewAddr: new.Source, NewLink: new.Link}
	if old.Source.IsValid() && !is.addrs[old.Source] {
		c.Change = probe.ChangeAddressGone
	}
	if !slices.Contains(d.Changes, c) {
		d.Changes = append(d.Changes, c)
	}
}

// links tells of the links that are or were in use, and returns those that came
// back.
func (d *Difference) links(was, is State) map[string]bool {
	back := make(map[string]bool)
	used := was.used()
	maps.Copy(used, is.used())
	for _, name := range slices.SortedFunc(maps.Keys(used), cmp.Compare[string]) {
		switch {
		case was.up[name] && !is.up[name]:
			d.Changes = append(d.Changes, probe.NetworkChange{Change: probe.ChangeLinkDown, OldLink: name})
		case !was.up[name] && is.up[name]:
			d.Changes = append(d.Changes, probe.NetworkChange{Change: probe.ChangeLinkUp, NewLink: name})
			back[name] = true
		}
	}
	return back
}

// used returns the links that ways lead out by.
func (s State) used() map[string]bool {
	used := make(map[string]bool)
	for _, w := range append(slices.Collect(maps.Values(s.Ways)), s.Default4, s.Default6) {
		if w.Link != "" {
			used[w.Link] = true
		}
	}
	return used
}
