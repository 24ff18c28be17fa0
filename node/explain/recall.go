package explain

import (
	"slices"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
)

// This file looks back: at what passed before it was watched.

// recall takes the handshakes of the last two attempts into account: who calls
// again and again has called before. The subscription stands already, so that it
// may bring the latest of them once more.
func (x *explanation) recall() {
	x.col.Flow = nil
	for _, e := range x.Tunnel.Recorder().Snapshot(x.started.Add(-memory), nil) {
		if isHandshake(&e) {
			x.recalled = max(x.recalled, e.Seq) // they have a lane of their own
		} else if e.Time >= x.started.UnixNano() {
			continue
		}
		x.col.Add(&e)
	}
	x.col.Flow = x.flow
}

// beforeKept bounds to how many sources earlier answers are remembered.
const beforeKept = 32

// answeredBefore looks for the latest answers of the target and of its host that came out
// of the tunnel before this was watched.
func (x *explanation) answeredBefore() {
	host := probe.AddrFrom(x.flow.Target.Addr())
	for _, e := range x.Tunnel.Recorder().Snapshot(x.started.Add(-history), func(e *probe.Event) bool {
		return e.Seam == probe.SeamTUNWrite && e.Checkpoint == probe.A6 && e.InnerSrc == host && !e.Dropped() && !e.ICMPError()
	}) {
		if !e.When().Before(x.started) {
			continue
		}
		_, echo := e.ICMPEcho()
		port := x.flow.Target.Port()
		one := diagnose.Before{To: e.InnerDst.Netip(), Target: port == 0 && echo || port != 0 && !echo && port == e.InnerSrcPort, At: e.When()}
		same := func(b diagnose.Before) bool { return b.To == one.To && b.Target == one.Target }
		if i := slices.IndexFunc(x.flow.Before, same); i >= 0 {
			x.flow.Before[i] = one
		} else if len(x.flow.Before) < beforeKept {
			x.flow.Before = append(x.flow.Before, one)
		}
	}
}

// isHandshake reports whether e is about a handshake message, in any seam.
func isHandshake(e *probe.Event) bool {
	return e.Kind == probe.KindInitiation || e.Kind == probe.KindResponse || e.Kind == probe.KindCookie
}

// addEvent takes what the recorder delivers into account, once.
func (x *explanation) addEvent(e *probe.Event) {
	if !isHandshake(e) || e.Seq > x.recalled {
		x.recognize(e)
		x.col.Add(e)
	}
}
