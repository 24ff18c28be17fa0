package rules

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/diagnose"
	"github.com/wgnode/wgnode/probe/evidence"
	"github.com/wgnode/wgnode/probe/fix"
)

// This file judges as the side that is called: B1 to B8.

// replied: the flow's packet came in and its answer went out.
func (f facts) replied(time.Time) *ruling {
	if !f.Flow.Paired() || f.Flow.Answer != nil {
		return nil
	}
	if f.Flow.Seen[probe.B8] == nil {
		return f.repliedUnpaired()
	}
	return final(healthy(fmt.Sprintf("%s answers, and the answer goes back to %s", f.target(), f.Peer.Label()),
		evidence.Kernel.Decides("the packet was written to %s and its reply sent encrypted", f.Interface)))
}

// Stranger judges a host that is not a peer of the node that the facts are about, where
// the recording of its own end shows that the messages are that host's. Without that
// anybody may have sent them: see [Strangers].
func Stranger(of *diagnose.Facts, s *diagnose.Stranger) diagnose.Verdict {
	f := facts{of}
	from := s.From.Addr().String()
	if s.Reason == probe.UnknownPeer && s.Key.IsZero() {
		return diagnose.Verdict{Code: diagnose.UnknownPeer, Checkpoint: probe.B2, Where: diagnose.WherePeer,
			Summary: fmt.Sprintf("%s attempts a handshake without a private key of its own", s.From),
			Evidence: []evidence.Line{evidence.Secret.Decides("%s, made for our public key, from the static key %s, which belongs to no private key",
				probe.Count(s.Count, "initiation"), s.Key)},
			Fix: fix.Steps{fix.Note("on " + from + ", set PrivateKey in [Interface]; then add its public key here:"),
				fix.Check("wg show all public-key").On(from)}}
	}
	if s.Reason == probe.UnknownPeer {
		added := fix.Where{File: f.Config, Section: "Peer", Peer: s.Key.String()}
		return diagnose.Verdict{Code: diagnose.UnknownPeer, Checkpoint: probe.B2, Where: diagnose.WhereHere,
			Summary: fmt.Sprintf("%s attempts a handshake with the key %s, which is not a peer here", s.From, s.Key),
			Evidence: []evidence.Line{evidence.Secret.Decides("%s, made for our public key, static key decrypted",
				probe.Count(s.Count, "initiation"))},
			Fix: fix.Steps{fix.Note("if it is one of yours, add it" + added.InFile() + ":"),
				fix.Heading(added), fix.Config(added, "PublicKey", s.Key.String()), fix.Config(added, "AllowedIPs", "ITS-TUNNEL-ADDRESS/32"),
				fix.Note("or at once:"),
				fix.Command("wg set %s peer %s allowed-ips ITS-TUNNEL-ADDRESS/32", f.Interface, s.Key)}}
	}
	return diagnose.Verdict{Code: diagnose.WrongPublicKey, Checkpoint: probe.B2, Where: diagnose.WherePeer,
		Summary:  fmt.Sprintf("%s is configured with a different public key for this node", s.From),
		Evidence: []evidence.Line{evidence.Secret.Decides("%s whose mac1 is not made for %s", probe.Count(s.Count, "initiation"), f.PublicKey)},
		Fix: fix.Steps{fix.Note("on " + from + ", in its [Peer] for this host:"),
			fix.Config(fix.Where{Host: from, Section: "Peer"}, "PublicKey", f.PublicKey.String())}}
}

// replayed: the peer's calls are older than what it said before. One alone,
// while its session stands, may be anybody's who recorded it.
func (f facts) replayed(now time.Time) *ruling {
	p := f.Peer
	if p != nil && p.Handshake.Replays == 0 {
		return f.refusedByKernel()
	}
	if p == nil || p.Handshake.Replays == 1 && p.Handshake.Alive(now) {
		return nil
	}
	h := &p.Handshake
	v := diagnose.Verdict{Code: diagnose.HandshakeReplay, Checkpoint: probe.B2, Where: diagnose.WherePeer,
		Summary: fmt.Sprintf("initiations of %s are refused as replays: its clock went back, or two hosts share its key", p.Label()),
		Evidence: []evidence.Line{evidence.Secret.Decides("%s with a timestamp not newer than the last one",
			probe.Count(h.Replays, "initiation"))},
		Fix: fix.Steps{fix.Note("on " + p.Label() + ": is the clock right?"), fix.Check("timedatectl").On(p.Label()),
			fix.Note("once it is, forget the old timestamp here:"),
			fix.Command("wg set %s peer %s remove", f.Interface, p.Key),
			fix.Note("and add the peer again")}}
	if back := h.ClockNewest.Sub(h.Clock); back > time.Second {
		v.Evidence = append(v.Evidence, evidence.Secret.Says("its clock stood at %s before, and now at %s: %v back",
			h.ClockNewest.UTC().Format(time.DateTime), h.Clock.UTC().Format(time.DateTime), back.Round(time.Second)))
	}
	return final(v)
}

// responseNotAccepted is a general code: the peer calls again and again, and
// is answered each time.
func (f facts) responseNotAccepted(now time.Time) *ruling {
	p := f.Peer
	if p == nil || p.Handshake.Answered < 2 {
		return nil
	}
	h := &p.Handshake
	to := f.outerTarget(h.LastAnswered)
	return &ruling{diagnose.Verdict{Code: diagnose.ResponseNotAccepted, Checkpoint: probe.B3, Where: diagnose.WherePath,
		Summary: fmt.Sprintf("%s keeps initiating handshakes; each is answered, but no data follows", p.Label()),
		Evidence: []evidence.Line{evidence.Inferred.Decides("%d initiations received and answered to %s since it last sent data",
			h.Answered, to)},
		Candidates: []diagnose.Candidate{
			diagnose.Maybe(diagnose.PSKMismatch,
				"on %s, wgnode doctor says so for certain; or compare wg show all preshared-keys on both hosts", p.Label()),
			diagnose.Maybe(diagnose.NoResponse,
				"on %s, tcpdump -ni any udp src port %d shows whether answers of 92 bytes arrive: else a firewall on the path back",
				p.Label(), f.ListenPort),
			diagnose.Maybe(diagnose.UnderlayInputFirewall, "on %s, nft list ruleset: does the input hook accept the answers?", p.Label()),
		},
		Fix: fix.Steps{fix.Note("the other host knows; on " + p.Label() + ":"), fix.Check("wgnode doctor --for 15s").On(p.Label())}},
		f.current(h.LastAnswered, now)}
}

const (
	sharedKeyMoves  = 4
	sharedKeyWithin = 3 * time.Minute
)

// sharedKey: the endpoint goes back and forth between the same two addresses.
func (f facts) sharedKey(now time.Time) *ruling {
	p := f.Peer
	if p == nil {
		return nil
	}
	m := p.Moves
	if len(m) < sharedKeyMoves {
		return nil
	}
	m = m[len(m)-sharedKeyMoves:]
	a, b := m[0].Old, m[0].New
	for i, move := range m {
		if now.Sub(move.At) > sharedKeyWithin {
			return nil
		}
		want := [2]netip.AddrPort{a, b}
		if i%2 == 1 {
			want = [2]netip.AddrPort{b, a}
		}
		if move.Old != want[0] || move.New != want[1] {
			return nil
		}
	}
	return final(diagnose.Verdict{Code: diagnose.SharedKey, Where: diagnose.WherePeer,
		Summary: fmt.Sprintf("two hosts use the key of %s: its endpoint goes back and forth between %s and %s", p.Label(), a, b),
		Evidence: []evidence.Line{evidence.Authenticated.Decides("%d moves within %v, each by an authenticated packet", len(p.Moves),
			p.Moves[len(p.Moves)-1].At.Sub(p.Moves[0].At).Round(time.Second))},
		Fix: fix.Steps{fix.Note("on one of the two, make a key of its own:"),
			fix.Command("wgnode genkey"), fix.Note("and add its public key as another peer here")}})
}

// noAnswerHere: the packet came in, and no answer has been given.
func (f facts) noAnswerHere(time.Time) *ruling {
	if f.Flow.Seen[probe.B4] == nil {
		return nil
	}
	dst := f.Flow.Target.Addr().String()
	if back := f.Kernel.On(evidence.ToTunnel); back.Packets > 0 {
		return &ruling{f.replyAstray(back), false}
	}
	return &ruling{diagnose.Verdict{Code: diagnose.NoReplyFromDestination, Checkpoint: probe.B7, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("the packet to %s came out of the tunnel here, and no reply has entered it", f.target()),
		Evidence: []evidence.Line{evidence.Authenticated.Says("written to %s: B4", f.Interface),
			evidence.Inferred.Decides("nothing read from %s for it: no B7", f.Interface)},
		Candidates: []diagnose.Candidate{
			diagnose.Maybe(diagnose.ForwardingDisabled, "sysctl net.%s.conf.all.forwarding, unless %s is this host's own",
				family(f.Flow.Target.Addr()), dst),
			diagnose.Maybe(diagnose.ForwardFirewall, "nft list ruleset: is it dropped between %s and the uplink?", f.Interface),
			diagnose.Maybe(diagnose.NoRouteOnward, "ip route get %s", dst),
			diagnose.Maybe(diagnose.SNATMissing,
				"tcpdump -ni any host %s: does it leave with the tunnel's address, and can %s answer to that?", dst, dst),
			diagnose.Maybe(diagnose.NeighborUnreachable, "ip neighbour show %s", dst),
			diagnose.Maybe(diagnose.ReturnRouteWrong, "ip route get the source: does it lead into %s?", f.Interface),
		},
		Fix: fix.Steps{fix.Check("tcpdump -ni any host %s", dst)}}, false}
}

// replyAstray: the reply has come back to this host, and does not enter the tunnel
// as what it was, though nothing was seen to drop it.
func (f facts) replyAstray(back *evidence.Traversal) diagnose.Verdict {
	passed := ""
	if back.Passed == "postrouting" {
		passed = fmt.Sprintf(", and passed postrouting on its way out of %s", back.Out)
	}
	v := diagnose.Verdict{Code: diagnose.NoReplyFromDestination, Checkpoint: probe.B7, Where: diagnose.WhereHere,
		Summary: fmt.Sprintf("the reply of %s came back to this host, and has not entered the tunnel as the answer that it was", f.target()),
		Evidence: []evidence.Line{evidence.Kernel.Says("netfilter trace: %s came in on %s%s%s",
			probe.Count(back.Packets, "reply packet"), back.In,
			comma(back.Translated), passed),
			evidence.Inferred.Decides("nothing read from %s for it: no B7", f.Interface)},
		Candidates: []diagnose.Candidate{
			diagnose.Maybe(diagnose.ReturnFirewall, "nft list ruleset: does a rule drop or change what comes from %s?", f.Flow.Target.Addr()),
			diagnose.Maybe(diagnose.ReturnRouteWrong, "ip route get %s: does it lead into %s?", back.Dst.Addr(), f.Interface)},
		Fix: fix.Steps{fix.Check("nft list ruleset"), fix.Check("ip route get %s", back.Dst.Addr())}}
	return v
}
