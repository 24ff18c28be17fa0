package tunnel

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

// logger is the third seam: what the device says, as events.
func (t *Tunnel) logger() *device.Logger {
	return &device.Logger{Verbosef: t.verbose, Errorf: t.logError}
}

func (t *Tunnel) verbose(format string, args ...any) {
	var p *mirror.Peer
	if len(args) > 0 {
		p = t.m.Peers.Named(args[0])
	}
	switch format {
	case logCreated:
		t.keep.Created(args[0])
	case logKeepalive:
		p.Keepalives.Add(1)
		p.Heard.Store(t.m.Clock.Now())
	case logSendingInitiation, logSendingResponse:
		t.hs.About(p)
	case logReceivedInitiation:
		now := t.m.Clock.Now()
		p.Handshake.Established.Store(now)
		p.Heard.Store(now)
	case logReceivedResponse:
		now := t.m.Clock.Now()
		p.Handshake.Outstanding.Store(0)
		p.Handshake.Established.Store(now)
		p.Heard.Store(now)
		t.m.Record(probe.Event{Kind: probe.KindResponse, Checkpoint: probe.A3, Peer: p.ID})
	case logInvalidResponse:
		t.hs.Rejected(args[0].(string))
	case logReplay:
		t.m.Record(probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Peer: p.ID, Reason: probe.HandshakeReplay})
	case logFlood:
		t.m.Record(probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Peer: p.ID, Reason: probe.HandshakeFlood})
	case logCookieSent:
		e := probe.Event{Kind: probe.KindInitiation, Checkpoint: probe.B1, Reason: probe.UnderLoad}
		if from, err := netip.ParseAddrPort(args[0].(string)); err == nil {
			e.OuterSrc, e.OuterSrcPort = probe.AddrFrom(from.Addr()), from.Port()
		}
		t.m.Record(e)
	case logCookieRejected:
		t.m.Record(probe.Event{Kind: probe.KindCookie, Checkpoint: probe.A3, Reason: probe.CookieRejected})
	case logDisallowed4, logDisallowed6:
		p.Disallowed.Add(1)
		t.acct.Look()
	case logBadVersion:
		p.BadVersion.Add(1)
		t.acct.Look()
	case logGaveUp:
		p.Handshake.GivenUp.Add(1)
		t.acct.Flushed(p.ID, probe.HandshakeGaveUp)
	case logKeysRemoved, logStopping:
		t.acct.Flushed(p.ID, probe.PeerRemoved)
	case logSegments:
		t.m.Record(probe.Event{Kind: probe.KindInner, Reason: probe.LostInDevice})
	}
	if t.opt.Debugf != nil && format != logUAPIError {
		t.opt.Debugf(format, args...)
	}
}

func (t *Tunnel) logError(format string, args ...any) {
	if t.opt.Errorf == nil || format == logUAPIError {
		return // a UAPI error goes to who sent the request; it may quote a key
	}
	t.opt.Errorf(format, args...)
}
