package rules

import (
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file is about tunnels of which less is known than of wgnode's own device: those of the
// kernel's WireGuard, and of what copies of messages do not tell.

// seen is how something is known that messages of the tunnel have told. A copy says what was on
// the wire; not that the device has got it, nor what it has made of it.
func (f facts) seen(k evidence.Known) evidence.Known {
	if f.Level.Copies() {
		return evidence.Inferred
	}
	return k
}

// unpaired is how many data messages went to the peer of which one may have the flow's packet.
func (f facts) unpaired() int {
	if !f.Level.Copies() {
		return 0
	}
	return f.Flow.Unpaired.Forth
}

// repliedUnpaired is what replied finds where it is not told which message has the answer.
func (f facts) repliedUnpaired() *ruling {
	if !f.Level.Copies() || f.Flow.Unpaired.Back == 0 {
		return nil
	}
	return final(healthy(f.target()+" answers, and the answer enters the tunnel to "+f.Peer.Label(),
		evidence.Kernel.Decides("the packet came out of %s and its reply entered it", f.Interface),
		evidence.Inferred.Decides("%s left to %s since; level %s does not show which of them has the reply",
			probe.Count(f.Flow.Unpaired.Back, "data message"), f.Peer.Label(), f.Level)))
}

// ownAttempt is after how long without an answer the kernel's WireGuard itself begins a new
// session at the latest: KeepaliveTimeout and RekeyTimeout, a third of a second of jitter, and
// some time for what this host has to do.
const ownAttempt = 17 * time.Second

// ownHandshake is what noReply says of a device that begins handshakes by itself alone: whether
// the path works in the session that stands, as far as that is known by now.
func (f facts) ownHandshake(v *diagnose.Verdict, first *probe.Event, now time.Time) (settled bool) {
	p := f.Peer
	switch {
	case p.Handshake.EstablishedNow: // said already
		return true
	case first != nil && p.Heard.After(first.When()):
		// Not that it hears this host: it may have called by itself.
		v.Evidence = append(v.Evidence, evidence.Authenticated.Says("%s was heard meanwhile: its messages come here, and the keys are right",
			p.Label()))
		return true
	case first != nil && now.Sub(first.When()) > ownAttempt:
		return true
	}
	v.Evidence = append(v.Evidence, evidence.Inferred.Says("whether %s is reached at all is not known yet: the kernel asks it for a new "+
		"session after 15 s without any message from it, and cannot be made to do so earlier", p.Label()))
	v.Candidates = append(v.Candidates, diagnose.Maybe(diagnose.NoResponse,
		"wait longer, --timeout 25s: does the kernel's next initiation get an answer?"))
	return false
}

// kernelIdle is why a peer of the kernel's has no session, as far as that was watched, and how to
// have it called.
func (f facts) kernelIdle() (why string, try fix.Steps) {
	for _, p := range f.Peer.AllowedIPs {
		if p.IsSingleIP() {
			try = fix.Steps{fix.Note("have the kernel call it, by something to send:"), fix.Check("ping -c 3 %s", p.Addr())}
			break
		}
	}
	return "no handshake was seen while this was watched: the kernel begins one when it has something to send", try
}

// refusedByKernel: the kernel refuses initiations that have the peer's key. It does not say
// why, and anybody can have made them who knows both public keys.
func (f facts) refusedByKernel() *ruling {
	p := f.Peer
	h := &p.Handshake
	if h.Refused < 2 || h.Established.After(h.LastRefused.When()) {
		return nil
	}
	v := Refused(f.Facts, h.Refused)
	v.Summary += "; or another host repeats or forges them"
	v.Evidence = []evidence.Line{evidence.Claimed.Decides("%s with its key, the latest from %s, refused by the kernel without a reason",
		probe.Count(h.Refused, "initiation"), f.outerSource(h.LastRefused))}
	v.Candidates = []diagnose.Candidate{
		diagnose.Maybe(diagnose.HandshakeReplay, "on %s, timedatectl: is its clock right, and was it ahead before?", p.Label()),
		diagnose.Maybe(diagnose.SharedKey, "does another host have the private key of %s?", p.Label())}
	return final(v)
}

// Refused judges a peer whose initiations the kernel of the node refuses that the facts are
// about, where the recording of its own end shows that they are its own, each once: what is
// left is that their timestamps are not newer.
func Refused(of *diagnose.Facts, n int) diagnose.Verdict {
	p := of.Peer
	return diagnose.Verdict{Code: diagnose.HandshakeReplay, Checkpoint: probe.B2, Where: diagnose.WherePeer,
		Summary: "the kernel refuses initiations of " + p.Label() + " as replays: its clock went back, or two hosts share its key",
		Evidence: []evidence.Line{evidence.Secret.Decides("%s with its key, made for our public key, and refused: they are neither forged nor "+
			"repeated", probe.Count(n, "initiation"))},
		Fix: fix.Steps{fix.Note("on " + p.Label() + ": is the clock right?"), fix.Check("timedatectl").On(p.Label()),
			fix.Note("once it is, forget the old timestamp here:"),
			fix.Command("wg set %s peer %s remove", of.Interface, p.Key),
			fix.Note("and add the peer again")}}
}

// notTaken turns the verdict that nothing answers handshakes into one on answers that have come
// to this host as copies show, where no session has come of them.
func (f facts) notTaken(v *diagnose.Verdict) {
	h := &f.Peer.Handshake
	if h.Answers == 0 {
		return
	}
	v.Code = diagnose.PSKMismatch
	v.Summary = f.Peer.Label() + " answers handshakes, and no session comes of it: the preshared keys differ, or the answers do not " +
		"get to the device"
	v.Evidence = []evidence.Line{evidence.Inferred.Decides("%s left, copies of %s were seen, and the kernel has completed no handshake since",
		probe.Count(h.Sent, "initiation"), probe.Count(h.Answers, "response"))}
	v.Candidates = []diagnose.Candidate{
		diagnose.Maybe(diagnose.PSKMismatch, "compare wg show all preshared-keys on both hosts"),
		diagnose.Maybe(diagnose.UnderlayInputFirewall, "nft list ruleset: does the input hook accept udp sport %d?", f.Peer.Endpoint.Port()),
		diagnose.Maybe(diagnose.NoResponse, "they may be forged: anybody can send what looks like a response")}
	v.Fix = fix.Steps{fix.Note("on both hosts, compare (one may have none):"), fix.Check("wg show %s preshared-keys", f.Interface)}
}
