package render

import (
	"github.com/wgnode/wgnode/probe"
)

// dropWords say in words what was dropped. What is not here speaks for itself.
var dropWords = map[probe.Reason]string{
	probe.NoAllowedIPsMatch:    "to addresses in no peer's AllowedIPs",
	probe.NoEndpoint:           "for a peer without endpoint",
	probe.NotIP:                "that are neither IPv4 nor IPv6",
	probe.StagedOverflow:       "too many while there was no session",
	probe.HandshakeGaveUp:      "discarded: no handshake within 90 s",
	probe.PeerRemoved:          "for a peer that was removed",
	probe.SendError:            "that this host could not send",
	probe.TUNWriteError:        "that the interface refused",
	probe.ICMPPortUnreachable:  "refused by ICMP: port unreachable",
	probe.ICMPHostUnreachable:  "refused by ICMP: host unreachable",
	probe.ICMPNetUnreachable:   "refused by ICMP: network unreachable",
	probe.ICMPProhibited:       "refused by ICMP: administratively prohibited",
	probe.UnknownIndex:         "of expired sessions",
	probe.ExpiredKey:           "of sessions older than 180 s",
	probe.AuthenticationFailed: "that do not decrypt",
	probe.Replayed:             "that came twice or too late",
	probe.DisallowedSource:     "from addresses outside the peer's AllowedIPs",
	probe.InvalidMAC1:          "made for another public key",
	probe.UnknownPeer:          "from keys that are no peer's",
	probe.HandshakeReplay:      "with old handshake timestamps",
	probe.HandshakeFlood:       "above 50 handshakes a second",
	probe.LostInDevice:         "lost in the device, cause not known",
}

// dropped words how many packets were dropped for a reason. The reason's own name
// is there for `wgnode watch reason NAME`.
func dropped(n uint64, reason string) string {
	text := probe.Count(n, "packet")
	r, _ := probe.ParseReason(reason)
	if words := dropWords[r]; words != "" {
		return text + " " + words + " (" + reason + ")"
	}
	return text + " (" + reason + ")"
}
