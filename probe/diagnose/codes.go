package diagnose

// Code names a cause, or the general state of not knowing it better. Codes
// are a public contract: they appear in JSON, in metrics and in the manual,
// and scripts match on them. Some are added from time to time; none is renamed.
type Code string

// Nothing is wrong: the reply came back to the application.
const Healthy Code = "healthy"

// Idle is neither: no session stands, nobody tries to have one, and so there
// is nothing to judge by.
const Idle Code = "idle"

// A1 is missing: the packet does not reach the tunnel.
const (
	DestNotRouted       Code = "dest-not-routed"       // no route to the destination, or unreachable, blackhole, prohibit
	RouteBypassesTunnel Code = "route-bypasses-tunnel" // in a peer's AllowedIPs, but the route leaves elsewhere
	NoAllowedIPsMatch   Code = "no-allowedips-match"   // the destination is in no peer's AllowedIPs
	OutputFirewall      Code = "output-firewall"       // dropped or rejected by netfilter before the tunnel
)

// A2 is missing: nothing can be sent to the peer.
const (
	NoPrivateKey           Code = "no-private-key"           // this node has none, and so no peer can know it
	NoEndpoint             Code = "no-endpoint"              // neither configured nor learned
	EndpointUnresolved     Code = "endpoint-unresolved"      // its host name does not resolve
	EndpointNotRouted      Code = "endpoint-not-routed"      // no route to it with the tunnel's mark
	EndpointInTunnel       Code = "endpoint-in-tunnel"       // its route leads back into the tunnel
	UnderlayOutputFirewall Code = "underlay-output-firewall" // the encrypted packet is dropped on its way out of this host
)

// A3 is missing: no handshake response is received, or accepted.
const (
	EndpointPortClosed    Code = "endpoint-port-closed"    // ICMP port unreachable from the endpoint
	EndpointUnreachable   Code = "endpoint-unreachable"    // ICMP host or net unreachable, or no neighbour
	EndpointProhibited    Code = "endpoint-prohibited"     // ICMP administratively prohibited
	UnderlayInputFirewall Code = "underlay-input-firewall" // the encrypted packet arrives and is dropped by this host; also at B2
	NoResponse            Code = "no-response"             // general: initiations leave and nothing comes back
	PSKMismatch           Code = "psk-mismatch"            // a response to us arrives that cannot be consumed
	LostOnPath            Code = "lost-on-path"            // left one host and did not reach the other; also at B1, B3, A5; both sides only
)

// B2 is missing: an initiation is not answered.
const (
	UnknownPeer          Code = "unknown-peer"           // its static key is no configured peer
	WrongPublicKey       Code = "wrong-public-key"       // it is made for another public key than ours
	HandshakeReplay      Code = "handshake-replay"       // its timestamp is not newer than the last one
	ReplyLeavesElsewhere Code = "reply-leaves-elsewhere" // the route back is another interface than it came in on
)

// B3 is missing: the handshake is answered and no data follows.
const (
	ResponseNotAccepted Code = "response-not-accepted" // general: the peer initiates again and again
)

// B4 to B8 are missing: data arrives at the far host and no reply leaves it.
const (
	DisallowedSource       Code = "disallowed-source"         // inner source outside the peer's AllowedIPs; also at A6
	ForwardingDisabled     Code = "forwarding-disabled"       // not local, and forwarding is off
	ForwardFirewall        Code = "forward-firewall"          // dropped between the tunnel and the out interface
	NoRouteOnward          Code = "no-route-onward"           // no route for the inner destination
	TTLExceeded            Code = "ttl-exceeded"              // forwarded in circles, or with too low a TTL
	ReversePathFilter      Code = "reverse-path-filter"       // rp_filter drops it as martian; also at A3
	SNATMissing            Code = "snat-missing"              // forwarded untranslated into a network that knows no way back
	ProxyARPMissing        Code = "proxy-arp-missing"         // nobody answers for the client on the destination's network
	NeighborUnreachable    Code = "neighbor-unreachable"      // no answer to ARP or NDP
	NoReplyFromDestination Code = "no-reply-from-destination" // general: forwarded, and nothing came back
	ReturnFirewall         Code = "return-firewall"           // the reply is dropped before the tunnel
	ReturnRouteWrong       Code = "return-route-wrong"        // the reply is routed elsewhere
)

// A5 or A6 is missing, or the reply says no.
const (
	NoReply           Code = "no-reply"           // general: data leaves, nothing but keepalives comes back
	ConnectionRefused Code = "connection-refused" // RST or port unreachable from the service: the tunnel works
	InputFirewall     Code = "input-firewall"     // the decrypted reply is dropped before the application
	MTUBlackhole      Code = "mtu-blackhole"      // small packets get through, full-size ones do not
)

// The kernel of this host drops a packet by itself: at any checkpoint.
const (
	BPFDrop          Code = "bpf-drop"           // a BPF program: tc, XDP, of a cgroup, of a socket
	QueueFull        Code = "queue-full"         // of a device, or of the tunnel's interface
	SocketBufferFull Code = "socket-buffer-full" // the program does not read as fast as packets arrive
	Checksum         Code = "checksum"           // it is wrong

	LocalTableBypassed Code = "local-table-bypassed" // a policy rule ahead of table local leads this host's own packets elsewhere
	IPv6Disabled       Code = "ipv6-disabled"        // the device that it came in on has no IPv6
)

// Name resolution.
const (
	DNSUnreachable Code = "dns-unreachable" // the path is healthy, the configured server does not answer through it
	DNSNotApplied  Code = "dns-not-applied" // the system's resolver does not use the configured server
	DNSLeak        Code = "dns-leak"        // full tunnel, and the resolver's server is reached outside it
)

// Static findings: the verdict only where they cause the failure. SharedKey
// comes from what passed, the others from the configuration and the host.
const (
	SharedKey             Code = "shared-key"             // a peer's endpoint flips between two addresses
	ClockSkew             Code = "clock-skew"             // this host's clock is wrong
	OverlappingAllowedIPs Code = "overlapping-allowedips" // two peers, one prefix
	AddressConflict       Code = "address-conflict"       // the tunnel's network is also that of another interface
	DuplicateAddress      Code = "duplicate-address"      // two hosts have one tunnel address
	KeyIsOwn              Code = "key-is-own"             // a peer's public key is this node's own
	WorldReadableConfig   Code = "world-readable-config"  // anybody can read the private key
	NoKeepalive           Code = "no-keepalive"           // behind NAT, called by a peer, and silent when idle
	FullTunnelOneFamily   Code = "full-tunnel-one-family" // all of IPv4 or of IPv6, and the other leaves outside
	MTUTooLarge           Code = "mtu-too-large"          // encrypted packets do not fit the way to the endpoint
	NotAsApplied          Code = "not-as-applied"         // another program changed what the node had set on this host
)

// NodeDied is about no tunnel that runs: the node of one was killed, or crashed,
// and what it has left on the host is still there.
const NodeDied Code = "node-died"

// Class says what kind of thing is at fault.
type Class string

// The classes. ClassNetwork is for what none of the others covers, and for the
// general codes, whose cause is not known.
const (
	ClassNone     Class = "none"
	ClassConfig   Class = "config"
	ClassFirewall Class = "firewall"
	ClassRouting  Class = "routing"
	ClassDNS      Class = "dns"
	ClassNetwork  Class = "network"
)
