package explain

import (
	"slices"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// lacks notes what the interface lacks that the configuration gives it. What cannot
// be read is not claimed to be missing.
func (s *Subject) lacks(f *diagnose.Facts) {
	if !s.Kernel {
		return
	}
	l, err := routing.TakeLink(s.Interface)
	if err != nil || l == nil {
		return
	}
	f.LinkDown = !l.Up
	f.NoIPv6, f.EnableIPv6 = l.NoIPv6()
	for _, a := range l.Addrs {
		f.Addresses = append(f.Addresses, a.Prefix)
	}
	if s.File == nil {
		return
	}
	for _, p := range s.File.Interface.Addresses {
		if !slices.ContainsFunc(l.Addrs, func(a routing.Addr) bool { return a.Prefix.Addr() == p.Addr() }) {
			f.Missing = append(f.Missing, p)
		}
	}
}
