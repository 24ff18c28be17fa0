package eventtext

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
)

// Names resolves the peers of events.
type Names interface {
	// Peer returns the public key and the name of a peer, which may be "".
	// It reports false for a peer that it does not know.
	Peer(id probe.PeerID) (k key.Public, name string, ok bool)
}

// AppendLine appends e to dst as a line of text, without a newline at its end:
//
//	19:47:20.751416 A1 tun-read    alice    10.0.0.1:45734 > 192.168.200.22:80 tcp [S] len 60 match 192.168.200.0/24
//	19:47:20.751785 A2 udp-send    alice    > 203.0.113.2:51822 initiation len 148 sender 0x1a2b3c4d
//
// The columns are time, checkpoint, seam, peer, and then what passed: for an
// inner packet its addresses, for a datagram the address it was sent to (>) or
// came from (<), with the inner packet behind it where that is known. TCP flags
// are written as by tcpdump. A packet that went no further ends with DROP and
// the reason.
func AppendLine(dst []byte, e *probe.Event, names Names, opt *Options) []byte {
	l := line{dst, opt}
	l.columns(e, e.Seam.String(), names)
	l.what(e)
	l.dropped(e)
	return l.buf
}

func (l *line) columns(e *probe.Event, seam string, names Names) {
	l.buf = l.opt.begin(l.buf, Dim)
	l.buf = l.opt.AppendClock(l.buf, e.When())
	l.buf = l.opt.end(l.buf, Dim)
	l.buf = append(l.buf, ' ')
	l.column(SideStyle(e.Checkpoint), e.Checkpoint.String(), 2)
	l.column(Plain, seam, len("udp-receive"))
	l.column(Bold, PeerName(e.Peer, names, l.opt), l.opt.peerWidth())
}

// AppendDetail appends what a line says of e behind the columns: what passed, or
// what somebody says.
func AppendDetail(dst []byte, e *probe.Event, opt *Options) []byte {
	l := line{dst, opt}
	l.what(e)
	l.dropped(e)
	return l.buf
}

// dropped appends that a packet went no further.
func (l *line) dropped(e *probe.Event) {
	if e.Dropped() {
		l.buf = append(l.buf, ' ')
		l.buf = l.opt.Paint(l.buf, Red, "DROP "+e.Reason.String())
	}
}

// PeerName returns what a line calls a peer: its name, else the beginning of its
// public key; "-" for none.
func PeerName(id probe.PeerID, names Names, opt *Options) string {
	if id == 0 {
		return "-"
	}
	k, name, ok := names.Peer(id)
	switch {
	case !ok:
		return "peer#" + strconv.Itoa(int(id))
	case name != "":
		return opt.Escape(name)
	}
	return opt.ShortKey(k.String())
}

type line struct {
	buf []byte
	opt *Options
}

// column appends text and a space, filled up to width columns.
func (l *line) column(s Style, text string, width int) {
	l.buf = l.opt.Paint(l.buf, s, text)
	for range width - utf8.RuneCountInString(text) {
		l.buf = append(l.buf, ' ')
	}
	l.buf = append(l.buf, ' ')
}

func (l *line) printf(format string, args ...any) { l.buf = fmt.Appendf(l.buf, format, args...) }

// What most lines are made of goes without fmt: there may be many thousands a second.

func (l *line) text(s string) { l.buf = append(l.buf, s...) }

func (l *line) number(before string, n uint64) {
	l.buf = strconv.AppendUint(append(l.buf, before...), n, 10)
}

// index writes one of a session's, with all of its eight digits.
func (l *line) index(before string, n uint32) {
	l.text(before)
	l.text("0x")
	l.buf = hex.AppendEncode(l.buf, binary.BigEndian.AppendUint32(nil, n))
}

// addrPort writes an outer address; that of this host may be unknown.
func (l *line) addrPort(before string, a netip.AddrPort) {
	l.text(before)
	if !a.Addr().IsValid() {
		l.text("none")
		return
	}
	l.buf = a.AppendTo(l.buf)
}

// what appends what the event is about.
func (l *line) what(e *probe.Event) {
	src, dst := e.Outer()
	switch e.Kind {
	case probe.KindInner, probe.KindNone:
		l.inner(e)
		l.number(" len ", uint64(e.InnerLen))
		if p := e.Prefix(); p.IsValid() {
			l.text(" match ")
			l.buf = p.AppendTo(l.buf)
		}
	case probe.KindEndpoint:
		l.printf("endpoint %s %s %s", addrPort(src), l.arrow(), addrPort(dst))
		if e.Flags&probe.FlagEndpointMoved == 0 {
			l.printf(" set")
		}
	case probe.KindNetwork:
		l.network(e)
	case probe.KindICMP:
		verb := "says"
		if e.Claimed() {
			verb = "claims"
		}
		l.printf("icmp-error about %s %s %s", addrPort(dst), verb, sayer(src.Addr()))
		if index := e.Sender | e.Receiver; index != 0 {
			l.printf(" quotes %#08x", index)
		}
	default:
		if e.Seam == probe.SeamDevice {
			l.device(e)
			break
		}
		if e.Seam == probe.SeamUDPReceive {
			l.addrPort("< ", src)
		} else {
			l.addrPort("> ", dst)
		}
		l.text(" ")
		l.message(e)
	}
	flags := e.Flags
	switch e.Kind {
	case probe.KindEndpoint:
		flags &^= probe.FlagEndpointMoved // it says so already
	case probe.KindNetwork:
		flags = 0 // it is about no packet
	}
	for _, f := range eventFlags {
		if flags&f.flag != 0 {
			l.text(" ")
			l.text(f.name)
		}
	}
}

var eventFlags = []struct {
	flag probe.Flags
	name string
}{
	{probe.FlagEndpointMoved, "moved-endpoint"},
	{probe.FlagFragment, "fragment"},
	{probe.FlagTruncated, "truncated"},
	{probe.FlagPeerMismatch, "peer-mismatch"},
}

func (l *line) arrow() string { return l.opt.Choose("→", "->") }

// network appends a change of the host's network.
func (l *line) network(e *probe.Event) {
	c, _ := e.Network()
	l.printf("network %s", c.Change)
	switch c.Change {
	case probe.ChangeResume:
		l.printf(" after %s", c.Asleep.Round(time.Second))
		return
	case probe.ChangeMTU:
		l.printf(" dev %s %d %s %d", l.opt.Escape(c.NewLink), c.OldMTU, l.arrow(), c.NewMTU)
		return
	case probe.ChangeLinkDown, probe.ChangeLinkUp:
		l.printf(" %s", l.opt.Escape(cmp.Or(c.NewLink, c.OldLink)))
		return
	case probe.ChangeKillSwitch, probe.ChangeFirewall:
		l.printf(" of %s was changed by %s and is back", l.opt.Escape(c.NewLink), l.program(c))
		return
	}
	l.printf(" %s %s %s", l.way(c.OldAddr, c.OldLink), l.arrow(), l.way(c.NewAddr, c.NewLink))
}

// program names the one that made a change, and says how often it did.
func (l *line) program(c probe.NetworkChange) string {
	text := "another program"
	if c.Program != "" {
		text = fmt.Sprintf("%s (process %d)", l.opt.Escape(c.Program), c.PID)
	}
	if c.Times > 1 {
		text += fmt.Sprintf(", %d times,", c.Times)
	}
	return text
}

// way writes an address with the link that it belongs to.
func (l *line) way(a netip.Addr, link string) string {
	if link == "" {
		return address(a)
	}
	if !a.IsValid() {
		return "dev " + l.opt.Escape(link)
	}
	return a.String() + " dev " + l.opt.Escape(link)
}

// device appends what the device, or the socket, says of a message; often it
// does not say all that would name one.
func (l *line) device(e *probe.Event) {
	src, dst := e.Outer()
	switch {
	case e.Kind == probe.KindResponse && !e.Dropped():
		l.printf("session established")
	case e.Reason == probe.SendError:
		l.printf("> %s not sent: %v", addrPort(dst), e.Errno())
	case e.OuterLen != 0:
		l.printf("< %s ", addrPort(src))
		l.message(e)
	case src.Addr().IsValid():
		l.printf("%s from %s", e.Kind, src)
	default:
		l.printf("%s", e.Kind)
	}
}

// message appends a WireGuard message.
func (l *line) message(e *probe.Event) {
	l.text(e.Kind.String())
	l.number(" len ", uint64(e.OuterLen))
	switch e.Kind {
	case probe.KindInitiation:
		l.printf(" sender %#08x", e.Sender)
	case probe.KindResponse:
		l.printf(" sender %#08x receiver %#08x", e.Sender, e.Receiver)
	case probe.KindCookie:
		l.printf(" receiver %#08x", e.Receiver)
	case probe.KindData, probe.KindKeepalive:
		l.index(" idx ", e.Receiver)
		l.number(" ctr ", e.Counter)
	}
	if k, ok := e.StaticKey(); ok {
		l.printf(" key %s", k)
	} else if src, dst := e.Inner(); src.Addr().IsValid() || dst.Addr().IsValid() {
		l.text("  ")
		l.inner(e)
	}
}

// inner appends addresses and transport of the inner packet.
func (l *line) inner(e *probe.Event) {
	src, dst := e.Inner()
	if !src.Addr().IsValid() && !dst.Addr().IsValid() {
		l.printf("not decoded")
		return
	}
	if !hasPorts(e) {
		l.printf("%s > %s %s", address(src.Addr()), address(dst.Addr()), ProtoName(e.Proto))
		l.icmp(e)
		return
	}
	l.addrPort("", src)
	l.addrPort(" > ", dst)
	l.text(" ")
	l.text(ProtoName(e.Proto))
	if e.Proto == probe.ProtoTCP {
		l.text(" [")
		l.text(tcpFlags(e.TCPFlags()))
		l.text("]")
	}
}

// icmp appends type and content of an inner ICMP or ICMPv6 message.
func (l *line) icmp(e *probe.Event) {
	typ, code, ok := e.ICMP()
	if !ok {
		return
	}
	l.printf(" %s", icmpName(e.Proto, typ))
	request, reply := e.ICMPEcho()
	switch {
	case request || reply:
		l.printf(" id %d seq %d", e.InnerSrcPort, e.InnerDstPort)
	case e.ICMPError():
		l.printf(" code %d", code)
		switch proto, src, dst, quotes := e.Quoted(); {
		case quotes && (proto == probe.ProtoTCP || proto == probe.ProtoUDP):
			l.printf(" about %s %s > %s", ProtoName(proto), src, dst)
		case quotes && dst.Port() != 0:
			l.printf(" about %s %s > %s id %d seq %d", ProtoName(proto), src.Addr(), dst.Addr(), src.Port(), dst.Port())
		case quotes:
			l.printf(" about %s %s > %s", ProtoName(proto), src.Addr(), dst.Addr())
		case e.InnerDstPort != 0:
			l.printf(" about port %d", e.InnerDstPort)
		}
		if why, ok := e.NodeSays(); ok {
			l.printf(", which the node dropped: %s", why)
		}
	}
}

// addrPort writes an outer address; that of this host may be unknown.
func addrPort(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return "none"
	}
	return a.String()
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func sayer(a netip.Addr) string {
	if !a.IsValid() || a.IsUnspecified() {
		return "this host"
	}
	return a.String()
}
