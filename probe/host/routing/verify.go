//go:build linux

package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Explain takes a snapshot for one packet, walks, and verifies. If the kernel
// disagrees it tries once more: the routes may have changed in between.
func Explain(f Flow) (*Snapshot, Walk, error) {
	e := &ExplainAll([]Flow{f})[0]
	return e.Snapshot, e.Walk, e.Err
}

// Explained is what [ExplainAll] finds out about one packet.
type Explained struct {
	Snapshot *Snapshot
	Walk     Walk
	Err      error // the kernel could not be asked; the rest is not set then
}

// ExplainAll is [Explain] for many packets: all go by one snapshot, so that thousands
// cost little more than one. The result has one element for each flow, in their order.
func ExplainAll(flows []Flow) []Explained {
	all := explainAll(flows)
	var again []Flow
	var places []int
	for i := range all {
		if all[i].Walk.Unexplained != "" {
			again, places = append(again, flows[i]), append(places, i)
		}
	}
	if len(again) > 0 {
		for i, e := range explainAll(again) {
			all[places[i]] = e
		}
	}
	return all
}

func explainAll(flows []Flow) []Explained {
	all := make([]Explained, len(flows))
	var only []netip.Addr
	for _, f := range flows {
		only = append(only, f.Dst, f.Src)
	}
	s, err := Take(Options{Only: only})
	var sock *socket
	if err == nil {
		sock, err = open()
	}
	if err != nil {
		for i := range all {
			all[i].Err = err
		}
		return all
	}
	defer sock.close()
	for i, f := range flows {
		w := s.Walk(f)
		if err := s.verify(sock, &w); err != nil {
			all[i].Err = err
			continue
		}
		all[i] = Explained{Snapshot: s, Walk: w}
	}
	return all
}

// Verify asks the kernel for the way of the walk's packet, as `ip route get` does,
// and compares. Where the two differ the walk gets the kernel's decision and
// Unexplained; see [Walk] for the other outcomes. An error is a failure to ask.
//
// Which rule led there the kernel does not say. It is verified only in so far as
// the same route of the same table won.
func (s *Snapshot) Verify(w *Walk) error {
	sock, err := open()
	if err != nil {
		return err
	}
	defer sock.close()
	return s.verify(sock, w)
}

func (s *Snapshot) verify(sock *socket, w *Walk) error {
	if err := s.check(w.Flow); err != nil {
		return fmt.Errorf("look up a route: %w", err)
	}
	if w.Flow.Proto == 0 || !w.Flow.askable() {
		byProto := func(r Rule) bool {
			return r.IPProto != 0 || r.SPort != Range[uint16]{} || r.DPort != Range[uint16]{}
		}
		if slices.ContainsFunc(s.rules(w.Flow.Dst.Is6()), byProto) {
			w.Refused = "a rule selects by protocol or port, and the kernel can be asked about TCP, UDP and ICMP only"
			return nil
		}
	}
	a, err := s.ask(sock, w.Flow)
	if err != nil {
		return fmt.Errorf("%s: %w", w.Flow, err)
	}
	if a.errno != w.Decision.errno() {
		if w.Refused = s.refusal(w, a.errno); w.Refused != "" {
			return nil
		}
	}
	if why := s.disagrees(w, a); why != "" {
		d := a.decision()
		w.Unexplained = fmt.Sprintf("the kernel decides %s, and the rules do not explain why: by them it is %s (%s)", &d, &w.Decision, why)
		w.Decision = d
		return nil
	}
	w.Verified, w.Doubt = true, ""
	if a.errno == 0 {
		d := &w.Decision
		if d.Route != nil && d.Type == TypeUnicast && !slices.ContainsFunc(d.Hops, a.way().same) {
			if !d.Route.untold() {
				w.Doubt = "the next hop is not the route's: a router has redirected this host"
			}
			d.Hops = []Hop{a.way()}
		}
		if a.route.PrefSrc.IsValid() {
			d.PrefSrc = a.route.PrefSrc
		}
		if a.route.MTU != 0 {
			d.MTU = a.route.MTU
		}
	}
	return nil
}

// answer is what the kernel decides.
type answer struct {
	errno   unix.Errno
	route   Route // the way, if errno is 0
	matched Route // the route of the table that it comes from, if hasMatch
	// hasMatch is false if the kernel went by no route.
	hasMatch bool
}

func (a *answer) way() Hop {
	if len(a.route.Hops) == 0 {
		return Hop{}
	}
	return a.route.Hops[0]
}

func (h Hop) same(o Hop) bool { return h.Link == o.Link && h.Gateway == o.Gateway }

func (a *answer) decision() Decision {
	switch a.errno {
	case unix.ENETUNREACH:
		return Decision{Type: TypeNone}
	case unix.EHOSTUNREACH:
		return Decision{Type: TypeUnreachable}
	case unix.EACCES:
		return Decision{Type: TypeProhibit}
	case unix.EINVAL:
		return Decision{Type: TypeBlackhole}
	}
	d := Decision{Type: a.route.Type, Hops: a.route.Hops, PrefSrc: a.route.PrefSrc, MTU: a.route.MTU}
	if a.hasMatch {
		m := a.matched
		d.Route, d.Table = &m, m.Table
	}
	return d
}

// errno is what the kernel says instead of a route. An unreachable rule is no
// host unreachable, other than a route of that type.
func (d *Decision) errno() unix.Errno {
	switch {
	case !d.Type.Rejects():
		return 0
	case d.Type == TypeProhibit:
		return unix.EACCES
	case d.Type == TypeBlackhole:
		return unix.EINVAL
	case d.Type == TypeUnreachable && d.Route != nil:
		return unix.EHOSTUNREACH
	}
	return unix.ENETUNREACH
}

// disagrees returns in what the kernel's answer differs, "" if in nothing.
func (s *Snapshot) disagrees(w *Walk, a *answer) string {
	d := &w.Decision
	switch {
	case a.errno != d.errno():
		return "the kernel's answer is: " + answerText(a.errno)
	case a.errno != 0:
		return ""
	case !a.hasMatch || d.Route == nil:
		if a.hasMatch != (d.Route != nil) && d.Type == TypeUnicast || !slices.ContainsFunc(d.Hops, a.way().same) {
			return "another way"
		}
		return ""
	case a.route.Type != d.Type:
		return "type " + a.route.Type.String()
	}
	table := a.matched.Table
	if table == Main && d.Table == Local && s.stock4() && !d.Route.IPv6() {
		table = Local // searched as one, and called by the name of one
	}
	switch {
	case table != d.Table:
		return "table " + table.String()
	case a.matched.Dst != d.Route.Dst:
		return "prefix " + a.matched.Dst.String()
	case a.matched.Metric != d.Route.Metric && len(d.Hops) < 2:
		return "metric " + itoa(a.matched.Metric)
	case d.Type != TypeLocal && len(a.matched.Hops) == 1 && !slices.ContainsFunc(d.Hops, a.matched.Hops[0].same):
		return "another way"
	}
	return ""
}

func answerText(e unix.Errno) string {
	if e == 0 {
		return "a route"
	}
	return e.Error()
}

// refusal says why the kernel answers with an error that does not come from rules
// and tables, "" if nothing is known. Only IPv4 checks more than those.
func (s *Snapshot) refusal(w *Walk, errno unix.Errno) string {
	f := w.Flow
	if f.Dst.Is6() {
		return ""
	}
	if f.IIF == "" {
		if t, _ := s.AddrType(f.Src); errno == unix.EINVAL && f.Src.IsValid() && t != TypeLocal {
			return fmt.Sprintf("%s is not an address of this host: it cannot send from there", f.Src)
		}
		return ""
	}
	switch errno {
	case unix.EHOSTUNREACH:
		if fw := s.Forwarding(false, f.IIF); !fw.On {
			return fw.Evidence
		}
	case unix.EINVAL, unix.EXDEV:
		switch rp := s.reversePath(f); {
		case rp.Drops:
			return rp.Evidence[0]
		case rp.Doubt != "":
			return rp.Doubt
		}
	}
	return ""
}

// ask asks twice: for the way, and for the route that it comes from.
func (s *Snapshot) ask(sock *socket, f Flow) (*answer, error) {
	a := new(answer)
	if err := s.askWay(sock, f, a); err != nil || a.errno != 0 {
		return a, err
	}
	err := s.askOne(sock, f, unix.RTM_F_FIB_MATCH, &a.matched)
	switch {
	case err == nil:
		a.hasMatch = true
	case !errors.Is(err, unix.EHOSTUNREACH): // that says: found without one
		return nil, err
	}
	return a, nil
}

// noRoute are the kernel's answers that are no failure to ask.
var noRoute = []unix.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL, unix.EXDEV}

// askWay asks for the way.
func (s *Snapshot) askWay(sock *socket, f Flow, a *answer) error {
	err := s.askOne(sock, f, 0, &a.route)
	if errors.As(err, &a.errno) && slices.Contains(noRoute, a.errno) {
		return nil
	}
	return err
}

func (s *Snapshot) askOne(sock *socket, f Flow, flags uint32, r *Route) error {
	body := make(message, unix.SizeofRtMsg)
	body[0], body[1] = unix.AF_INET, uint8(f.Dst.BitLen())
	if f.Dst.Is6() {
		body[0] = unix.AF_INET6
	}
	body[3] = f.TOS
	if f.Dst.Is4() { // IPv6 always tells the table, and strictly takes no such flag
		flags |= unix.RTM_F_LOOKUP_TABLE
	}
	binary.NativeEndian.PutUint32(body[8:], flags)
	body = body.with(unix.RTA_DST, f.Dst.AsSlice())
	if f.Src.IsValid() {
		body[2] = uint8(f.Src.BitLen())
		body = body.with(unix.RTA_SRC, f.Src.AsSlice())
	}
	uid := f.UID
	for _, v := range []struct {
		kind uint16
		name string
	}{{unix.RTA_IIF, f.IIF}, {unix.RTA_OIF, f.OIF}} {
		if v.name == "" {
			continue
		}
		body = body.with32(v.kind, uint32(s.Link(v.name).Index))
		if v.kind == unix.RTA_IIF {
			uid = 0
		}
	}
	body = body.with32(unix.RTA_MARK, f.Mark).with32(unix.RTA_UID, uid)
	if f.askable() {
		body = body.with(unix.RTA_IP_PROTO, []byte{f.Proto})
		if f.SPort != 0 {
			body = body.with(unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, f.SPort))
		}
		if f.DPort != 0 {
			body = body.with(unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, f.DPort))
		}
	}
	arena := make([]Hop, 0, 1) // as a rule there is one
	ok := false
	err := sock.request(unix.RTM_GETROUTE, 0, body, unix.RTM_NEWROUTE, func(msg []byte) {
		ok = parseRoute(msg, r, &arena)
	})
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the kernel gave no answer")
	}
	for i := range r.Hops {
		r.Hops[i].Dev = s.name(r.Hops[i].Link)
	}
	return nil
}
