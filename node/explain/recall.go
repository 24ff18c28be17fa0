package explain

import "github.com/wgnode/wgnode/probe"

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
