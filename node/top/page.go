package top

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/gdamore/tcell/v2"

	"github.com/wgnode/wgnode/node/explain"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/flows"
	"github.com/wgnode/wgnode/probe/render"
)

// page is text that stands before everything else and can be scrolled.
type page struct {
	title  string
	lines  []string
	at     int // first line that is seen
	rows   int
	cancel context.CancelFunc // of what is waited for, nil if nothing is
	again  func(width int) []string
	width  int // that the lines are wrapped to
}

func (p *page) scroll(by int) { p.at = max(min(p.at+by, len(p.lines)-p.rows), 0) }

func (m *Model) closePage() {
	if m.page != nil && m.page.cancel != nil {
		m.page.cancel()
	}
	m.page = nil
}

// wrap has the page's lines be as wide as the screen.
func (p *page) wrap(width int) {
	if p.again != nil && p.width != width {
		p.lines, p.width = p.again(width), width
	}
}

// explainChosen explains the row that is chosen.
func (m *Model) explainChosen() {
	tunnel, req, err := m.chosenTarget()
	switch {
	case err != nil:
		m.sayFailed(err)
	case tunnel != "":
		m.explain(tunnel, req)
	}
}

// chosenTarget is what is to be explained for the row that is chosen; no tunnel: there is none.
func (m *Model) chosenTarget() (tunnel string, req explain.Request, err error) {
	unlock := m.lock()
	defer unlock()
	switch m.focus {
	case panePeers:
		if at := m.lists[panePeers].cursor; at < len(m.peers) {
			tunnel = m.peers[at].t.Name
			req, err = aboutPeer(&m.peers[at])
		}
	case paneFlows:
		if f := m.flow(); f != nil {
			tunnel = f.t.Name
			req = aboutFlow(f.f.Key, f.f.Side)
			if m.player() != nil { // where there may be several to one destination
				req.From = netip.PrefixFrom(f.f.Client.Addr(), f.f.Client.Addr().BitLen())
			}
		}
	case paneDrops:
		return m.aboutDrop()
	}
	return tunnel, req, err
}

func (m *Model) aboutDrop() (tunnel string, req explain.Request, err error) {
	at := m.lists[paneDrops].cursor
	if at >= len(m.drops) {
		return "", req, nil
	}
	d := &m.drops[at]
	if d.latest == (flows.Key{}) {
		return "", req, fmt.Errorf("%s: no packet of a flow was dropped for this reason since top started", d.name)
	}
	side := probe.SideA
	if f := d.t.Flows.Flow(d.latest); f != nil {
		side = f.Side
	}
	return d.t.Name, aboutFlow(d.latest, side), nil
}

// aboutPeer asks for the first address of a peer's own, as its name does for explain.
func aboutPeer(r *peerRow) (req explain.Request, err error) {
	if r.p == nil {
		return req, fmt.Errorf("%s: %s", r.t.Name, r.t.Problem)
	}
	for _, prefix := range r.p.AllowedIPs {
		if prefix.IsSingleIP() {
			return explain.Request{Target: netip.AddrPortFrom(prefix.Addr(), 0)}, nil
		}
	}
	return req, fmt.Errorf("the peer %s has no address of its own in its AllowedIPs: select one of its flows", r.p.Label())
}

// aboutFlow asks for a flow: on the side that is called, what the other sends is waited for.
func aboutFlow(k flows.Key, side probe.Side) explain.Request {
	req := explain.Request{Target: k.Server}
	switch k.Proto {
	case probe.ProtoUDP:
		req.UDP = true
	case probe.ProtoTCP:
	default:
		req.Target = netip.AddrPortFrom(k.Server.Addr(), 0)
	}
	if side == probe.SideB {
		req.Passive = true
		req.From = netip.PrefixFrom(k.Client.Addr(), k.Client.Addr().BitLen())
	}
	return req
}

// explain has a page say what becomes of a flow, once that is found out.
func (m *Model) explain(tunnel string, req explain.Request) {
	m.closePage()
	target := probe.FlowText(req.Target, req.UDP)
	what := "sending a probe and following it"
	switch {
	case m.player() != nil:
		what = "reading the recording"
	case req.Passive:
		what = "waiting for the next packet from " + req.From.Addr().String()
	}
	p := &page{title: "explain " + tunnel + " " + target, lines: []string{"", "  " + what + " ... Esc cancels"}}
	m.page = p
	ended, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	src := m.src
	m.jobs = append(m.jobs, func(ctx context.Context) func(*Model) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(ended, stop)()
		report, err := src.Explain(ctx, tunnel, req)
		return func(m *Model) {
			if m.page != p {
				return // it was closed meanwhile
			}
			p.cancel = nil
			if err != nil {
				p.lines = []string{"", "  " + err.Error()}
				return
			}
			p.again, p.width = func(width int) []string { return reportLines(report, width) }, 0
		}
	})
	m.stale = true
}

// reportLines is a report as text.
func reportLines(r *diagnose.Report, width int) []string {
	var b bytes.Buffer
	if err := render.Report(&b, r, render.Options{Width: max(width, 40)}); err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

// lineStyle is the style of a line of a page, by how it begins.
func (m *Model) lineStyle(line string) tcell.Style {
	switch {
	case strings.HasPrefix(line, "✓"):
		return m.palette.good
	case strings.HasPrefix(line, "✗"):
		return m.palette.bad
	case strings.HasPrefix(line, "?"):
		return m.palette.dim
	case strings.HasPrefix(line, "    #"):
		return m.palette.dim
	case line != "" && !unicode.IsSpace([]rune(line)[0]):
		return m.palette.bold
	}
	return m.palette.plain
}

// help is what the keys do.
func (m *Model) help() *page {
	lines := `
  Tab, Shift-Tab   next, previous pane: peers, flows, drops
  ↑ ↓  j k         select a row;  PgUp PgDn  a page;  g G  first, last
  Enter            explain the selected peer or flow, or the flow of a drop
  /                filter, in the language of "wgnode watch":
                     peer alice tcp port 80,443     dropped not reason replayed
                     an empty line removes the filter
  s                next sort order of the pane
  r                record to a file; again: stop
  ?                this help;  Esc closes it
  q, Ctrl-C        quit

  The mouse selects rows, and its wheel scrolls.

  The ladder shows the flow selected in the pane of flows: how many packets
  passed each checkpoint, when the latest did, and what was dropped and why.
  ✓ passed   ✗ dropped   · session from before   ? not seen

  With a lot of traffic packets are sampled: numbers with ~ are estimates then.
  The ladder counts its flow in full unless that has too many packets.`
	if m.player() != nil {
		lines = strings.Replace(lines, "  r                record to a file; again: stop\n",
			"  ← →              earlier, later;  Shift or [ ]  ten times as far\n"+
				"  Home End         beginning, end of the recording\n"+
				"  Space            play, stop;  + -  faster, slower\n", 1)
		lines = strings.Replace(lines, "The mouse selects rows, and", "The mouse selects rows and times, and", 1)
	}
	return &page{title: "help", lines: strings.Split(lines, "\n")}
}
