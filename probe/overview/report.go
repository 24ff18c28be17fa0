package overview

import (
	"time"

	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/key"
)

// OfReport is what a doctor's report of a tunnel says at a glance, such as one of a recording,
// which ends at a time. It has no bytes, and no rates.
func OfReport(r *diagnose.DoctorReport, at time.Time, req *Request) *Tunnel {
	t := &Tunnel{Interface: r.Interface, Kind: KindNode, State: Running, Level: r.Level, Drops: r.Drops, VerdictsAt: at}
	if r.Level.Kernel() {
		t.Kind = KindKernel
	}
	if r.Dead {
		t.State = "dead"
	}
	peers := make([]Peer, 0, len(r.Peers))
	for i := range r.Peers {
		peers = append(peers, peerOf(&r.Peers[i], at))
	}
	t.Select(peers, req)
	return t
}

func peerOf(r *diagnose.PeerReport, at time.Time) Peer {
	k, _ := key.ParsePublic(r.Peer) // zero where it is not known
	p := Peer{PublicKey: k, Name: r.PeerName, State: r.State, Idle: Idle(r.State), Drops: r.Drops, Verdict: Judge(&r.Verdict)}
	if r.HandshakeAge > 0 {
		p.Handshake = at.Add(-r.HandshakeAge)
	}
	if r.Endpoint != nil {
		p.Endpoint = r.Endpoint.Endpoint
	}
	return p
}

// Judge is a verdict in short.
func Judge(v *diagnose.Verdict) *Judgment {
	return &Judgment{Code: v.Code, Class: v.Class(), Healthy: v.Healthy(), Certain: v.Certain,
		Checkpoint: v.Checkpoint.String(), Where: v.Where, Summary: v.Summary}
}

// Idle reports whether that is the state of a peer without a session and without a fault.
func Idle(s diagnose.State) bool { return s == diagnose.StateStale || s == diagnose.StateNeverSeen }
