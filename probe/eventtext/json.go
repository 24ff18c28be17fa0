package eventtext

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/schema"
)

// AppendJSON appends e to dst as one JSON object, an [Object], without a newline at its
// end. No string holds control characters or others that are not printable: they are
// escaped.
func AppendJSON(dst []byte, e *probe.Event, names Names) []byte {
	o := object{buf: append(dst, '{')}
	o.head(e)
	if e.Pair != 0 {
		o.number("pair", e.Pair)
	}
	o.name("seam", e.Seam.String())
	o.name("checkpoint", e.Checkpoint.String())
	o.name("kind", e.Kind.String())
	if e.Dropped() {
		o.text("verdict", "dropped")
		o.text("reason", e.Reason.String())
	} else {
		o.text("verdict", "passed")
	}
	o.name("direction", e.Seam.Direction())
	o.peer(e, names)
	if c, ok := e.Network(); ok {
		o.network(c)
		return append(o.buf, '}')
	}
	o.inner(e)
	o.outer(e)
	if p := e.Prefix(); p.IsValid() {
		o.text("allowed_ip", p.String())
	}
	o.message(e)
	if k, ok := e.StaticKey(); ok {
		o.text("static_key", k.String())
	}
	o.flag("endpoint_moved", e.Flags&probe.FlagEndpointMoved != 0 && e.Kind != probe.KindEndpoint)
	o.flag("peer_mismatch", e.Flags&probe.FlagPeerMismatch != 0)
	return append(o.buf, '}')
}

// object is a JSON object that is being written.
type object struct {
	buf []byte
}

func (o *object) key(k string) {
	if o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, k...)
	o.buf = append(o.buf, `":`...)
}

func (o *object) number(k string, n uint64) {
	o.key(k)
	o.buf = strconv.AppendUint(o.buf, n, 10)
}

func (o *object) text(k, s string) {
	o.key(k)
	o.buf = appendString(o.buf, s)
}

// name is text that is left out where it is empty.
func (o *object) name(k, s string) {
	if s != "" {
		o.text(k, s)
	}
}

func (o *object) flag(k string, set bool) {
	if set {
		o.key(k)
		o.buf = append(o.buf, "true"...)
	}
}

// addrPort leaves out an address that is not known, and the wildcard address
// of this host, which says no more.
func (o *object) addrPort(k string, a netip.AddrPort) {
	if a.Addr().IsValid() && !a.Addr().IsUnspecified() {
		o.text(k, a.String())
	}
}

// head is what each object begins with.
func (o *object) head(e *probe.Event) {
	o.number("schema", schema.Number)
	o.key("time")
	o.buf = append(o.buf, '"')
	o.buf = e.When().UTC().AppendFormat(o.buf, time.RFC3339Nano)
	o.buf = append(o.buf, '"')
	o.number("seq", e.Seq)
}

func (o *object) peer(e *probe.Event, names Names) {
	if k, name, ok := names.Peer(e.Peer); ok && e.Peer != 0 {
		o.text("peer", k.String())
		o.name("peer_name", name)
	}
}

func (o *object) open(k string) { o.key(k); o.buf = append(o.buf, '{') }
func (o *object) close()        { o.buf = append(o.buf, '}') }

func (o *object) inner(e *probe.Event) {
	src, dst := e.Inner()
	if !src.Addr().IsValid() && !dst.Addr().IsValid() {
		if e.InnerLen != 0 { // a packet that is not IP
			o.open("inner")
			o.number("len", uint64(e.InnerLen))
			o.close()
		}
		return
	}
	o.open("inner")
	if src.Addr().IsValid() {
		o.text("src", src.Addr().String())
	}
	if dst.Addr().IsValid() {
		o.text("dst", dst.Addr().String())
	}
	if hasPorts(e) {
		o.number("sport", uint64(e.InnerSrcPort))
		o.number("dport", uint64(e.InnerDstPort))
	}
	o.text("proto", ProtoName(e.Proto))
	if e.InnerLen != 0 {
		o.number("len", uint64(e.InnerLen))
	}
	typ, code, isICMP := e.ICMP()
	switch {
	case e.Proto == probe.ProtoTCP && hasPorts(e):
		o.text("tcp_flags", tcpFlags(e.TCPFlags()))
	case isICMP:
		o.number("icmp_type", uint64(typ))
		if request, reply := e.ICMPEcho(); request || reply {
			o.number("icmp_id", uint64(e.InnerSrcPort))
			o.number("icmp_seq", uint64(e.InnerDstPort))
		} else if e.ICMPError() {
			o.number("icmp_code", uint64(code))
			o.quoted(e)
			o.nodeSays(e)
		}
	}
	o.flag("fragment", e.Flags&probe.FlagFragment != 0)
	o.flag("truncated", e.Flags&probe.FlagTruncated != 0)
	o.close()
}

// quoted writes what an ICMP error says of the packet that it is about.
func (o *object) quoted(e *probe.Event) {
	proto, src, dst, ok := e.Quoted()
	if !ok {
		return
	}
	o.open("quoted")
	o.text("src", src.Addr().String())
	if dst.Addr().IsValid() {
		o.text("dst", dst.Addr().String())
	}
	o.text("proto", ProtoName(proto))
	switch proto {
	case probe.ProtoTCP, probe.ProtoUDP:
		o.number("sport", uint64(src.Port()))
		o.number("dport", uint64(dst.Port()))
	case probe.ProtoICMP, probe.ProtoICMPv6:
		o.number("icmp_id", uint64(src.Port()))
		o.number("icmp_seq", uint64(dst.Port()))
	}
	o.close()
}

// nodeSays writes why a node says that it has dropped the packet that an ICMP error is about.
func (o *object) nodeSays(e *probe.Event) {
	if why, ok := e.NodeSays(); ok {
		o.text("node_says", why.String())
	}
}

func (o *object) outer(e *probe.Event) {
	src, dst := e.Outer()
	if e.Kind == probe.KindEndpoint {
		o.open("endpoint")
		o.addrPort("old", src)
		o.addrPort("new", dst)
		o.flag("set", e.Flags&probe.FlagEndpointMoved == 0)
		o.close()
		return
	}
	if !src.Addr().IsValid() && !dst.Addr().IsValid() && e.OuterLen == 0 {
		return
	}
	o.open("outer")
	if e.Kind == probe.KindICMP && src.Port() == 0 {
		// Who sent an ICMP error has no port.
		o.name("src", addrOrEmpty(src.Addr()))
	} else {
		o.addrPort("src", src)
	}
	o.addrPort("dst", dst)
	if e.OuterLen != 0 {
		o.number("len", uint64(e.OuterLen))
	}
	o.close()
}

func (o *object) network(c probe.NetworkChange) {
	o.open("network")
	o.text("change", c.Change.String())
	o.name("old", addrOrEmpty(c.OldAddr))
	o.name("new", addrOrEmpty(c.NewAddr))
	o.name("old_link", c.OldLink)
	o.name("new_link", c.NewLink)
	if c.OldMTU != 0 || c.NewMTU != 0 {
		o.number("old_mtu", uint64(c.OldMTU))
		o.number("new_mtu", uint64(c.NewMTU))
	}
	if c.Change == probe.ChangeResume {
		o.number("asleep", uint64(c.Asleep.Round(time.Second).Seconds()))
	}
	if c.Program != "" {
		o.name("program", c.Program)
		o.number("pid", uint64(c.PID))
	}
	if c.Times != 0 {
		o.number("times", c.Times)
	}
	o.close()
}

func addrOrEmpty(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// message writes what the kinds of WireGuard messages hold.
func (o *object) message(e *probe.Event) {
	switch e.Kind {
	case probe.KindInitiation:
		o.number("sender", uint64(e.Sender))
	case probe.KindResponse:
		o.number("receiver", uint64(e.Receiver))
		o.number("sender", uint64(e.Sender))
	case probe.KindCookie:
		o.number("receiver", uint64(e.Receiver))
	case probe.KindICMP: // of the message that it quotes
		if e.Sender != 0 {
			o.number("sender", uint64(e.Sender))
		}
		if e.Receiver != 0 {
			o.number("receiver", uint64(e.Receiver))
		}
	case probe.KindData, probe.KindKeepalive:
		o.number("receiver", uint64(e.Receiver))
		o.number("counter", e.Counter)
	}
}

// appendString appends s as a JSON string (RFC 8259, section 7). Unlike
// encoding/json it escapes everything that is not printable, so that a line of
// JSON can be looked at in a terminal. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case unicode.IsPrint(r):
			dst = append(dst, s[i:i+size]...)
		case r <= 0xffff:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default: // a surrogate pair
			r -= 0x10000
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
		i += size
	}
	return append(dst, '"')
}
