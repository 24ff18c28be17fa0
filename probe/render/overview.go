package render

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/eventtext"
	"github.com/wgnode/wgnode/probe/overview"
)

// Overview writes what there is to see of a host's tunnels: of each a heading, a line of counts,
// and a line for each peer. No line is longer than the width of opt.
func Overview(w io.Writer, o *overview.Overview, opt Options) error {
	t := text{opt: &opt}
	for i := range o.Tunnels {
		if i > 0 {
			t.newline()
		}
		t.glance(&o.Tunnels[i], o.At)
	}
	for i, line := range o.Unseen {
		if i == 0 && len(o.Tunnels) > 0 {
			t.newline()
		}
		t.wrap(dim, "not seen: "+line, 2, "")
	}
	return t.writeTo(w)
}

// oldVerdicts is how old verdicts are told to be.
const oldVerdicts = 5 * time.Second

// glance writes one tunnel.
func (t *text) glance(o *overview.Tunnel, now time.Time) {
	t.put(bold, o.Interface)
	state, style := o.State, plain
	if o.State == overview.Running && o.Kind == overview.KindKernel {
		state = string(overview.KindKernel)
	}
	if o.State != overview.Running || o.Error != "" {
		style = red
	}
	t.put(plain, "  ")
	t.put(style, state)
	if o.Error != "" {
		t.newline()
		for line := range strings.Lines(o.Error) {
			t.to(2)
			t.wrap(plain, line, 2, "")
		}
		for _, line := range o.Advice {
			t.to(2)
			t.wrap(dim, line, 2, "")
		}
		return
	}
	t.put(plain, "  ")
	t.wrap(dim, strings.Join(servedBy(o), ", "), 2, "")
	if o.Less != "" {
		t.to(2)
		t.wrap(dim, o.Less, 2, "")
	}
	t.peerCounts(o, now)
	t.peerRows(o, now)
}

// servedBy says what serves a tunnel, and how much is known of it.
func servedBy(o *overview.Tunnel) []string {
	words := []string{"wgnode"}
	if o.Kind == overview.KindKernel {
		words[0] = "the kernel's WireGuard"
	}
	if o.Level != "" {
		words = append(words, "level "+string(o.Level))
	}
	if o.Netstack {
		words = append(words, "no interface")
	}
	if o.PID != 0 {
		words = append(words, fmt.Sprintf("pid %d", o.PID))
	}
	if o.ListenPort != 0 {
		words = append(words, fmt.Sprintf("port %d", o.ListenPort))
	}
	return words
}

// peerCounts writes how many peers are how, and what passes.
func (t *text) peerCounts(o *overview.Tunnel, now time.Time) {
	t.to(2)
	switch o.Total {
	case 0:
		t.put(plain, "no peers")
	case 1:
		t.put(plain, "1 peer")
	default:
		t.put(plain, fmt.Sprintf("%d peers", o.Total))
	}
	between := ": "
	say := func(style eventtext.Style, what string) {
		if t.put(plain, between[:1]); t.col+1+columns(what) > t.opt.width() {
			t.newline()
			t.to(4)
		} else {
			t.put(plain, " ")
		}
		t.put(style, what)
		between = ", "
	}
	for _, s := range overview.States() {
		if n := o.Counts[s]; n > 0 && s != diagnose.StateStale && s != diagnose.StateNeverSeen {
			say(stateStyles[s], fmt.Sprintf("%d %s", n, s))
		}
	}
	if o.Idle > 0 {
		say(plain, fmt.Sprintf("%d idle", o.Idle))
	}
	if o.Rates != nil {
		between = "; "
		say(plain, fmt.Sprintf("%s/s in, %s/s out", byteUnits(o.Rates.Rx, " "), byteUnits(o.Rates.Tx, " ")))
	}
	t.newline()
	age := now.Sub(o.VerdictsAt)
	switch {
	case o.Total == 0:
	case o.VerdictsAt.IsZero():
		t.to(2)
		t.wrap(yellow, "no verdicts yet: they are being worked out; states are what the tunnel itself reports", 2, "")
	case age > oldVerdicts:
		t.to(2)
		t.wrap(yellow, "states and verdicts are those of "+shortAge(age)+" ago", 2, "")
	}
}

// peerRow is what a line has of a peer, before it is fitted.
type peerRow struct {
	*overview.Peer
	name, state, age, endpoint, rtt, rx, tx string
	verdict                                 string // of a fault; it takes the place of the times and rates
}

// peerColumns are the widths of what a line has.
type peerColumns struct {
	name, state, age, endpoint, rtt, rate int
	ageIs                                 string // its heading
}

const (
	// verdictRoom is what a verdict's code has at most, and names and endpoints are cut for.
	verdictRoom = 32
	leastName   = 8
	leastPlace  = 15
)

// peerRows writes a line for each peer, and counts those that are left out.
func (t *text) peerRows(o *overview.Tunnel, now time.Time) {
	rows := make([]peerRow, len(o.Peers))
	for i := range o.Peers {
		rows[i] = t.peerRow(&o.Peers[i], now)
	}
	if len(rows) > 0 {
		c := t.peerColumns(rows)
		t.peerHeading(&c)
		for i := range rows {
			t.peerLine(&rows[i], &c)
		}
	}
	if o.IdleLeft > 0 {
		t.put(dim, fmt.Sprintf("  %s %d of %d idle, not listed", t.opt.Choose("·", "."), o.IdleLeft, o.Total))
		t.newline()
	}
	if o.Left > 0 {
		t.put(dim, fmt.Sprintf("  %s %d more", t.opt.Choose("…", "..."), o.Left))
		t.newline()
	}
}

func (t *text) peerRow(p *overview.Peer, now time.Time) peerRow {
	r := peerRow{Peer: p, name: t.opt.Escape(p.Name), state: string(p.State), age: "never", endpoint: "-"}
	if p.Name == "" {
		r.name = t.opt.ShortKey(p.PublicKey.String())
	}
	if !p.Handshake.IsZero() {
		r.age = shortAge(now.Sub(p.Handshake))
	}
	if p.Endpoint.IsValid() {
		r.endpoint = placeText(p.Endpoint)
	}
	if p.RTT != nil {
		r.rtt = t.shortTime(p.RTT.Took)
	}
	if p.Rates != nil {
		r.rx, r.tx = byteUnits(p.Rates.Rx, ""), byteUnits(p.Rates.Tx, "")
	}
	if v := p.Verdict; v != nil && p.Fault() {
		r.verdict = string(v.Code)
		if !v.Certain && !v.Healthy {
			r.verdict += "?"
		}
		if v.Summary != "" && !v.Healthy {
			r.verdict += ": " + v.Summary
		}
		r.verdict = t.opt.Escape(r.verdict)
	}
	return r
}

// peerColumns has each column be as wide as it must, and cuts names and endpoints where the rest
// would have no room.
func (t *text) peerColumns(rows []peerRow) peerColumns {
	c := peerColumns{name: len("PEER"), state: len("STATE"), age: len("never"), endpoint: len("ENDPOINT"), ageIs: "AGE"}
	rest, codes := 0, 0
	for i := range rows {
		r := &rows[i]
		c.name, c.state, c.age = max(c.name, columns(r.name)), max(c.state, columns(r.state)), max(c.age, columns(r.age))
		c.endpoint, c.rtt = max(c.endpoint, columns(r.endpoint)), max(c.rtt, columns(r.rtt))
		c.rate = max(c.rate, columns(r.rx), columns(r.tx))
		code, _, _ := strings.Cut(r.verdict, ":")
		codes = max(codes, columns(code))
	}
	if c.rtt > 0 {
		c.rtt = max(c.rtt, len("RTT"))
		rest += c.rtt + 2
	}
	if c.rate > 0 {
		c.rate = max(c.rate, len("OUT/S"))
		rest += 2 * (c.rate + 1)
	}
	rest = max(rest, min(codes, verdictRoom))
	over := 4 + c.name + 2 + c.state + 2 + c.age + 2 + c.endpoint + 2 + rest - t.opt.width()
	if more := len("HANDSHAKE") - c.age; over+more <= 0 {
		c.age, c.ageIs = c.age+more, "HANDSHAKE"
	}
	for _, cut := range []struct {
		column *int
		least  int
	}{{&c.name, 2 * leastName}, {&c.endpoint, len("255.255.255.255:65535")}, {&c.name, leastName},
		{&c.endpoint, leastPlace}, {&c.endpoint, 1}} {
		if give := min(over, *cut.column-cut.least); give > 0 {
			*cut.column -= give
			over -= give
		}
	}
	return c
}

func (t *text) peerHeading(c *peerColumns) {
	line := fmt.Sprintf("    %-*s  %-*s  %*s  %-*s", c.name, "PEER", c.state, "STATE", c.age, c.ageIs, c.endpoint, "ENDPOINT")
	if c.rtt > 0 {
		line += fmt.Sprintf("  %*s", c.rtt, "RTT")
	}
	if c.rate > 0 {
		line += fmt.Sprintf("  %*s %*s", c.rate, "IN/S", c.rate, "OUT/S")
	}
	t.put(dim, strings.TrimRight(t.cut(line, t.opt.width()), " "))
	t.newline()
}

func (t *text) peerLine(r *peerRow, c *peerColumns) {
	t.to(2)
	st := plain
	switch {
	case r.Fault():
		st = red
		t.mark(diagnose.Fail)
	case r.Idle:
		st = dim
		t.mark(diagnose.NotNeeded)
	case r.State == diagnose.StateUp && r.Verdict != nil:
		t.mark(diagnose.Pass)
	default:
		t.mark(diagnose.Unknown)
	}
	t.put(plain, " ")
	t.put(cmp.Or(st, bold), pad(t.cut(r.name, c.name), c.name))
	t.put(plain, "  ")
	t.put(cmp.Or(stateStyles[r.State], st), pad(r.state, c.state))
	line := fmt.Sprintf("  %*s  %s", c.age, r.age, pad(t.cut(r.endpoint, c.endpoint), c.endpoint))
	room := t.opt.width() - t.col - columns(line) - 2
	if r.verdict != "" && room > 0 {
		t.put(plain, line+"  ")
		t.put(red, t.cut(r.verdict, room))
		t.newline()
		t.past(r)
		return
	}
	if c.rtt > 0 {
		line += "  " + strings.Repeat(" ", max(c.rtt-columns(r.rtt), 0)) + r.rtt
	}
	if c.rate > 0 {
		line += fmt.Sprintf("  %*s %*s", c.rate, r.rx, c.rate, r.tx)
	}
	t.put(cmp.Or(st, plain), strings.TrimRight(t.cut(line, t.opt.width()-t.col), " "))
	t.newline()
}

// past says of a fault that it is not the first one of late.
func (t *text) past(r *peerRow) {
	p := r.Past
	if p == nil || p.Failures < 2 {
		return
	}
	t.to(4)
	t.put(dim, t.cut("since "+stamp(p.Since, time.Now())+" "+failedText(p.Failures, p.Failing, p.Codes), t.opt.width()-4))
	t.newline()
}

// cut has s, which is escaped, take no more than so many columns.
func (t *text) cut(s string, most int) string {
	if columns(s) <= most {
		return s
	}
	mark := t.opt.Choose("…", "~")
	if most < 1 {
		return ""
	}
	return string([]rune(s)[:most-1]) + mark
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-columns(s), 0))
}

// placeText is an endpoint; a zone, which is long and the same for all, is left out.
func placeText(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

// shortAge is an age in at most four characters.
func shortAge(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 2*day:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd", int(d/day))
}

// shortTime is a round trip in at most six characters.
func (t *text) shortTime(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d%s", d/time.Microsecond, t.opt.Choose("µs", "us"))
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// byteUnits words a number of bytes in the largest binary unit that fits.
func byteUnits(n float64, space string) string {
	units := []string{"", "K", "M", "G", "T"}
	if space != "" {
		units = []string{"B", "KiB", "MiB", "GiB", "TiB"}
	}
	for n >= 1000 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	form := "%.0f%s%s"
	if n < 10 && n != float64(int(n)) {
		form = "%.1f%s%s"
	}
	return fmt.Sprintf(form, n, space, units[0])
}
