package probe

// Reason says why a packet went no further. The zero Reason means that it
// passed.
type Reason uint8

// Reasons on the way into the tunnel, then on the way out of it.
const (
	ReasonNone Reason = 0

	NoAllowedIPsMatch   Reason = 1 // the destination is in no peer's AllowedIPs
	NoEndpoint          Reason = 2 // the peer has no endpoint
	NotIP               Reason = 3 // neither IPv4 nor IPv6, or too short for its header
	StagedOverflow      Reason = 4 // more packets than the device keeps while it has no session
	HandshakeGaveUp     Reason = 5 // no handshake within 90 s; the waiting packets were discarded
	PeerRemoved         Reason = 6 // the peer was removed, or the device taken down
	SendError           Reason = 7 // the UDP socket refused it; see Event.Errno
	TUNWriteError       Reason = 8 // the TUN device refused it
	ICMPPortUnreachable Reason = 9 // and the next four: an ICMP error says so
	ICMPHostUnreachable Reason = 10
	ICMPNetUnreachable  Reason = 11
	ICMPProhibited      Reason = 12
	ICMPOther           Reason = 13

	TooShort             Reason = 14 // shorter than any WireGuard message
	BadLength            Reason = 15 // wrong length for its message type
	UnknownType          Reason = 16 // the type of no WireGuard message
	UnknownIndex         Reason = 17 // receiver index of no session of ours
	ExpiredKey           Reason = 18 // the session is older than 180 s
	AuthenticationFailed Reason = 19 // does not decrypt with the session's key
	Replayed             Reason = 20 // the counter was seen before, or is too old
	queueFull            Reason = 21 // never recorded; its name is one that filters may have
	BadInnerPacket       Reason = 22 // decrypted, but not a valid IP packet
	DisallowedSource     Reason = 23 // decrypted, but the inner source is not the peer's
	InvalidMAC1          Reason = 24 // not made for this node's public key
	UnknownPeer          Reason = 25 // the initiator's static key is not that of a configured peer
	InvalidInitiation    Reason = 26 // mac1 is right, the rest does not decrypt
	HandshakeReplay      Reason = 27 // timestamp not newer than the last one
	HandshakeFlood       Reason = 28 // more than 50 initiations a second
	UnderLoad            Reason = 29 // answered with a cookie, or rate-limited
	ResponseRejected     Reason = 30 // answers our latest initiation, but does not decrypt
	ResponseStale        Reason = 31 // answers no outstanding initiation of ours
	CookieRejected       Reason = 32 // cookie reply that does not decrypt
	LostInDevice         Reason = 33 // entered the device and never left it; cause not known
	LinkScope            Reason = 34 // multicast or link-local: what a host sends by itself, and no AllowedIPs have
	InitiationRefused    Reason = 35 // has a peer's key, and the kernel took it for old, repeated, one too many, or forged
)

// NumReasons is the number of reasons that this release knows, ReasonNone included: the
// length of an array that counts those of its own events. An event that was read may
// have a greater one.
const NumReasons = len(reasons)

// reasons is the table of reasons. What they mean is said of packets, behind their number.
var reasons = [...]struct{ name, meaning string }{
	ReasonNone: {},

	NoAllowedIPsMatch:   {"no-allowedips-match", "to addresses in no peer's AllowedIPs"},
	NoEndpoint:          {"no-endpoint", "for a peer without endpoint"},
	NotIP:               {"not-ip", "that are neither IPv4 nor IPv6"},
	StagedOverflow:      {"staged-overflow", "that were too many to keep while there was no session"},
	HandshakeGaveUp:     {"handshake-gave-up", "discarded: no handshake within 90 s"},
	PeerRemoved:         {"peer-removed", "for a peer that was removed"},
	SendError:           {"send-error", "that this host could not send"},
	TUNWriteError:       {"tun-write-error", "that the interface refused"},
	ICMPPortUnreachable: {"icmp-port-unreachable", "refused by ICMP: port unreachable"},
	ICMPHostUnreachable: {"icmp-host-unreachable", "refused by ICMP: host unreachable"},
	ICMPNetUnreachable:  {"icmp-net-unreachable", "refused by ICMP: network unreachable"},
	ICMPProhibited:      {"icmp-prohibited", "refused by ICMP: administratively prohibited"},
	ICMPOther:           {"icmp-other", "refused by ICMP: another error"},

	TooShort:             {"too-short", "shorter than any WireGuard message"},
	BadLength:            {"bad-length", "of the wrong length for their message type"},
	UnknownType:          {"unknown-type", "that are not WireGuard messages"},
	UnknownIndex:         {"unknown-index", "of expired sessions"},
	ExpiredKey:           {"expired-key", "of sessions older than 180 s"},
	AuthenticationFailed: {"authentication-failed", "that do not decrypt"},
	Replayed:             {"replayed", "that came twice or too late"},
	queueFull:            {"queue-full", "that were too many for the handshake queue"},
	BadInnerPacket:       {"bad-inner-packet", "with invalid content"},
	DisallowedSource:     {"disallowed-source", "from addresses outside the peer's AllowedIPs"},
	InvalidMAC1:          {"invalid-mac1", "made for another public key"},
	UnknownPeer:          {"unknown-peer", "from unknown keys"},
	InvalidInitiation:    {"invalid-initiation", "that claim to begin a handshake and do not decrypt"},
	HandshakeReplay:      {"handshake-replay", "with old handshake timestamps"},
	HandshakeFlood:       {"handshake-flood", "above 50 handshakes a second"},
	UnderLoad:            {"under-load", "to be repeated with a cookie: the device was under load"},
	ResponseRejected:     {"response-rejected", "that answer a handshake and do not decrypt"},
	ResponseStale:        {"response-stale", "that answer a handshake too late"},
	CookieRejected:       {"cookie-rejected", "with a cookie that does not decrypt"},
	LostInDevice:         {"lost-in-device", "lost in the device, cause not known"},
	LinkScope:            {"link-scope", "of hosts' own multicast and link-local traffic, which no AllowedIPs have"},
	InitiationRefused:    {"initiation-refused", "that begin a handshake and are old, repeated, too many, or forged"},
}

func (r Reason) String() string { return nameOf(reasonNames, uint8(r)) }

// Meaning says for people what packets were dropped that have the reason, to stand
// behind their number: "for a peer without endpoint". It is "" for ReasonNone, and for a
// reason that this release does not know.
func (r Reason) Meaning() string {
	if int(r) < len(reasons) {
		return reasons[r].meaning
	}
	return ""
}
