package seam

import (
	"net/netip"

	"golang.zx2c4.com/wireguard/device"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/tunnel/internal/mirror"
)

// Formats of the device's log that mean something to us. The device calls its
// logger with the format and the arguments, so that they can be told apart
// without parsing text; a test compares them with the module's source.
const (
	logCreated            = "%v - UAPI: Created"
	logSendingInitiation  = "%v - Sending handshake initiation"
	logSendingResponse    = "%v - Sending handshake response"
	logReceivedInitiation = "%v - Received handshake initiation"
	logReceivedResponse   = "%v - Received handshake response"
	logInvalidResponse    = "Received invalid response message from %s"
	logReplay             = "%v - ConsumeMessageInitiation: handshake replay @ %v"
	logFlood              = "%v - ConsumeMessageInitiation: handshake flood"
	logCookieSent         = "Sending cookie response for denied handshake message for %v"
	logCookieRejected     = "Could not decrypt invalid cookie response"
	logKeepalive          = "%v - Receiving keepalive packet"
	logDisallowed4        = "IPv4 packet with disallowed source address from %v"
	logDisallowed6        = "IPv6 packet with disallowed source address from %v"
	logBadVersion         = "Packet with invalid IP version from %v"
	logGaveUp             = "%s - Handshake did not complete after %d attempts, giving up"
	logKeysRemoved        = "%s - Removing all keys, since we haven't received a new one in %d seconds"
	logStopping           = "%v - Stopping"
	logSegments           = "Dropped some packets from multi-segment read: %v"
	logUAPIError          = "%v"
)

// deviceLog is the third seam: what the device says, as events.
type deviceLog struct {
	w              *Watch
	keep           *mirror.Keeper
	debugf, errorf func(format string, args ...any)
}

// Logger returns the device's logger. debugf and errorf, if not nil, get what is said, too,
// but for what may quote a key.
func (w *Watch) Logger(keep *mirror.Keeper, debugf, errorf func(format string, args ...any)) *device.Logger {
	l := &deviceLog{w: w, keep: keep, debugf: debugf, errorf: errorf}
	return &device.Logger{Verbosef: l.verbose, Errorf: l.error}
}

func (l *deviceLog) verbose(format string, args ...any) {
	m := l.w.Mirror
	var p *mirror.Peer
	if len(args) > 0 {
		p = m.Peers.Named(args[0])
	}
	switch format {
	case logCreated:
		l.keep.Created(args[0])
	case logKeepalive:
		p.Keepalives.Add(1)
		p.Heard.Store(m.Clock.Now())
	case logSendingInitiation, logSendingResponse:
		l.w.Handshakes.About(p)
	case logReceivedInitiation:
		now := m.Clock.Now()
		p.Handshake.Established.Store(now)
		p.Heard.Store(now)
	case logReceivedResponse:
		now := m.Clock.Now()
		p.Handshake.Outstanding.Store(0)
		p.Handshake.Established.Store(now)
		p.Heard.Store(now)
		m.Record(probe.Event{Kind: probe.KindResponse, Checkpoint: probe.A3, Peer: p.ID})
	case logInvalidResponse:
		l.w.Handshakes.Rejected(args[0].(string))
	case logReplay:
		m.Record(probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Peer: p.ID, Reason: probe.HandshakeReplay})
	case logFlood:
		m.Record(probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Peer: p.ID, Reason: probe.HandshakeFlood})
	case logCookieSent:
		e := probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Reason: probe.UnderLoad}
		if from, err := netip.ParseAddrPort(args[0].(string)); err == nil {
			e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(from.Addr()), from.Port()
		}
		m.Record(e)
	case logCookieRejected:
		m.Record(probe.Event{Kind: probe.KindCookie, Checkpoint: probe.A3, Reason: probe.CookieRejected})
	case logDisallowed4, logDisallowed6:
		p.Disallowed.Add(1)
		l.w.Accountant.Look()
	case logBadVersion:
		p.BadVersion.Add(1)
		l.w.Accountant.Look()
	case logGaveUp:
		p.Handshake.GivenUp.Add(1)
		l.w.Accountant.Flushed(p.ID, probe.HandshakeGaveUp)
	case logKeysRemoved, logStopping:
		l.w.Accountant.Flushed(p.ID, probe.PeerRemoved)
	case logSegments:
		m.Record(probe.Event{Kind: probe.KindInner, Reason: probe.LostInDevice})
	}
	if l.debugf != nil && format != logUAPIError {
		l.debugf(format, args...)
	}
}

func (l *deviceLog) error(format string, args ...any) {
	if l.errorf == nil || format == logUAPIError {
		return // a UAPI error goes to who sent the request; it may quote a key
	}
	l.errorf(format, args...)
}
