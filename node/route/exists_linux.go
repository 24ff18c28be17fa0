package route

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/link"
	"github.com/wgnode/wgnode/probe/host/routing"
)

// InTheWay is the error that [Add] and [AddThrow] would fail with, as the tables are
// now, because of a route to the same prefix; nil if there is none.
func InTheWay(l link.Link, p netip.Prefix, table int) error {
	e, ok := errors.AsType[*ExistsError](whose(unix.EEXIST, p, table))
	if !ok || e.route == "" {
		return nil
	}
	return fmt.Errorf("add route %s dev %s%s: %w", p, l.Name, inTable(table), e)
}

// whose finds out about the route that is in the way of one to p, if err says that
// there is one.
func whose(err error, p netip.Prefix, table int) error {
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	e := &ExistsError{Prefix: p.Masked(), Table: table}
	routes, lerr := routing.List(p.Addr().Is6(), cmp.Or(routing.Table(table), routing.Main))
	if lerr != nil {
		return e // the first error counts
	}
	metric := uint32(0) // what a route has that was added without
	if p.Addr().Is6() {
		metric = 1024
	}
	for i := range routes {
		if r := &routes[i]; r.Dst == e.Prefix && r.Metric == metric {
			e.describe(r)
			break
		}
	}
	return e
}

func (e *ExistsError) describe(r *routing.Route) {
	var words []string
	if r.Type != routing.TypeUnicast {
		words = append(words, r.Type.String())
	}
	if len(r.Hops) > 0 {
		hop := &r.Hops[0]
		if hop.Gateway.IsValid() {
			words = append(words, "via "+hop.Gateway.String())
		}
		e.Link = hop.Dev
		words = append(words, "dev "+e.Link)
	}
	words = append(words, "proto "+r.Protocol())
	e.Connected = r.Protocol() == "kernel"
	e.route = strings.Join(words, " ")
}
