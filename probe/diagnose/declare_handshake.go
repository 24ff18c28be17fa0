package diagnose

// This file declares the codes of a handshake that does not come about, and of encrypted
// packets that do not arrive: A3 on the side that sends, B1 to B3 on the other.

var declaredHandshake = []declaration{
	{Code: EndpointPortClosed, Class: ClassConfig, Doc: Doc{
		Title: "nothing listens at the peer's endpoint",
		Meaning: `An ICMP "port unreachable" came back for the initiation: the host at that address has
no program on this UDP port, or a firewall in front of it rejects instead of dropping. If
another host than the endpoint sent it, the verdict is not certain.`,
		Wire: `An initiation of 148 bytes leaves (A2); an ICMP port unreachable that quotes it comes
back. A3 is missing.`,
		Alike: []Candidate{
			{EndpointProhibited, "a firewall that rejects may answer \"port unreachable\" too: nft list ruleset on the host that sent it"},
			{NoResponse, "nothing comes back at all"},
			{UnknownPeer, "WireGuard listens there, but never answers an initiation that it does not accept"},
		},
		Mend: `On the peer: is the interface up, and on which port?
  wg show all listen-port
Compare the port with the Endpoint here. Without ListenPort the port changes with each
start. If NAT is in front of the peer, its port forward must lead to that port.`,
	}},
	{Code: EndpointUnreachable, Class: ClassRouting, Doc: Doc{
		Title: "the network cannot deliver to the peer's endpoint",
		Meaning: `An ICMP "host unreachable" or "network unreachable" came back, or the next hop did not
answer on the link. The evidence names the host that reports it; if it is this host itself,
the gateway or the peer does not answer ARP or neighbor discovery.`,
		Wire: `The initiation leaves this host's socket (A2); on the link there is an ARP or neighbor
request without an answer, or further on a router sends the ICMP error. A3 is missing.`,
		Alike: []Candidate{
			{EndpointNotRouted, "this host itself has no route: sending fails before anything leaves"},
			{EndpointProhibited, "a router rejects by a rule, not because a route is missing"},
			{NoResponse, "no error comes back"},
		},
		Mend: `If this host reports it, look at the link and the gateway:
  ip neighbour show
  ip route get ENDPOINT
If a router reports it, its route to the endpoint is missing, or the endpoint's host is off:
check the address, and ask the administrator of that router.`,
	}},
	{Code: EndpointProhibited, Class: ClassFirewall, Doc: Doc{
		Title: "a firewall on the path rejects packets to the endpoint",
		Meaning: `An ICMP "administratively prohibited" came back for the encrypted packets. A firewall
rule or a prohibit route rejects them. The evidence names the host that sent the error.`,
		Wire: `The initiation leaves (A2); an ICMP error of code 9, 10 or 13 (IPv6: 1, 5 or 6) comes
back. A3 is missing.`,
		Alike: []Candidate{
			{EndpointPortClosed, "the error is \"port unreachable\": often, nothing listens"},
			{EndpointUnreachable, "the error is \"host\" or \"network unreachable\": no route or no host"},
			{NoResponse, "a firewall that drops says nothing"},
		},
		Mend: `On the host that sent the error, allow UDP to the endpoint's port:
  nft list ruleset
If that is not your host, ask for the port to be opened, or use a port that is open; UDP
443 and 53 often are.`,
	}},
	{Code: UnderlayInputFirewall, Class: ClassFirewall, Doc: Doc{
		Title: "encrypted packets arrive on this host and its firewall drops them",
		Meaning: `The packets reach this host, and a rule, a chain's policy or an IPsec policy drops them
before the tunnel's socket. The netfilter trace has seen it; the evidence names table,
chain, rule and handle.`,
		Wire: `tcpdump on the uplink shows the packets, because it looks before the firewall: 148 bytes
for an initiation, 92 for a response. The tunnel does not see them. A3 or A5 is missing,
on the receiving side B2 or B3.`,
		Alike: []Candidate{
			{NoResponse, "nothing arrives: tcpdump is silent too"},
			{ReversePathFilter, "no rule drops it; the kernel does, because of the source address"},
			{UnknownPeer, "the packets do get to the tunnel, which refuses them"},
		},
		Mend: `Accept UDP to the tunnel's port in the input hook. The verdict has the command for the
chain that drops. In general, with the names of your table and chain:
  nft insert rule inet filter input udp dport PORT accept
For answers on the side that started, accepting established connections is enough:
  nft insert rule inet filter input ct state established,related accept
Add it to the firewall's own configuration as well, or it is gone after a reload.`,
	}},
	{Code: NoResponse, Class: ClassNetwork, Doc: Doc{
		Title: "handshakes are sent and nothing comes back",
		Meaning: `This is the general code: initiations leave this host and neither a response nor an
error arrives. WireGuard does not answer what it cannot authenticate, so a wrong key, a
firewall, a wrong address and a host that is off look the same from here. The candidates
are listed with the check for each.`,
		Wire: `Initiations of 148 bytes leave (A2), one every 5 seconds and a little more, for 90
seconds; then again with the next packet. No response of 92 bytes: A3
is missing. A cookie reply of 64 bytes says that the peer is there, and under load.`,
		Alike: []Candidate{
			{UnknownPeer, "on the peer: wgnode doctor names the unknown key; or compare wg show public-key here with the peers listed there"},
			{WrongPublicKey, "on the peer: wg show public-key must be the PublicKey of its section here"},
			{UnderlayInputFirewall, "on the peer: tcpdump shows the initiations arrive, and wgnode doctor --for 15s names the rule"},
			{ReplyLeavesElsewhere, "on the peer: tcpdump shows responses of 92 bytes leave, perhaps by another interface"},
			{LostOnPath, "recordings of both ends, merged, show that the messages leave one and do not arrive at the other"},
			{PSKMismatch, "a response does arrive, and cannot be used"},
		},
		Mend: `Ask the other host. On the peer:
  wgnode doctor --for 15s
  tcpdump -ni any udp port PORT
If nothing arrives, the address, the port, a port forward or a firewall on the path is wrong.
If something arrives, the peer refuses it, and doctor says why. With access to both ends, one
command does all of this:
  wgnode explain NAME ADDRESS --with USER@HOST
A peer with the kernel's WireGuard logs what it refuses, once that is switched on:
  echo module wireguard +p > /sys/kernel/debug/dynamic_debug/control
  dmesg -w`,
	}},
	{Code: PSKMismatch, Class: ClassConfig, Doc: Doc{
		Title: "the preshared keys of the two ends differ",
		Meaning: `A response to the latest initiation arrived, made for this host's public key, and it
cannot be decrypted. Both public keys are right, or there would be no response: what
remains is the preshared key. One end may have none. A host on the path, which sees the
initiation, can forge such a response; recordings of both ends show whether it did.`,
		Wire: `Initiation (A2, 148 bytes) and response (92 bytes) both pass, again and again. The
response is received and rejected; A3 does not happen, and no data follows. The peer
does not notice.`,
		Alike: []Candidate{
			{NoResponse, "no response arrives"},
			{ResponseNotAccepted, "what the peer says about it: it answers each initiation, and no data follows"},
			{WrongPublicKey, "with a wrong public key there is no response at all"},
		},
		Mend: `Compare on both hosts; "(none)" counts as different:
  wg show NAME preshared-keys
Set the same PresharedKey on both, or remove it on both. wg genpsk makes one. Each pair of
peers has its own key.`,
	}},
	{Code: LostOnPath, Class: ClassNetwork, Doc: Doc{
		Title: "messages leave one host and do not arrive at the other",
		Meaning: `Only recordings of both ends can show this. Messages were sent by one host and did not
reach the other's socket. It is certain if the receiver's packet filter was watched
too and saw nothing arrive; otherwise its own firewall may have dropped them.`,
		Wire: `The messages appear in the sender's recording only. What is missing is B1 for
initiations, A3 for responses, B3 or A5 for data.`,
		Alike: []Candidate{
			{NoResponse, "the same, as one host alone sees it"},
			{UnderlayInputFirewall, "the messages do arrive at the receiver's interface: tcpdump there shows them"},
			{MTUBlackhole, "only large messages are lost"},
			{ReversePathFilter, "the receiver's kernel drops them: nstat -az TcpExtIPReversePathFilter grows"},
		},
		Mend: `Look for a firewall between the two that does not let UDP to the port through, or a NAT
device whose mapping has expired: then packets get in only after an outgoing one, and
PersistentKeepalive = 25 on the host behind NAT helps. Some networks drop what looks like
a VPN; another port may pass.`,
	}},
	{Code: UnknownPeer, Class: ClassConfig, Doc: Doc{
		Title: "a host with an unknown key attempts a handshake",
		Meaning: `An initiation arrived that was made for this host's public key, and the sender's public
key, which it contains encrypted, is not that of a configured peer. Anyone can send such a
packet, so doctor and explain list it as a finding, with key and address; it is a verdict
only if recordings of both ends show who sent it. An all-zero key means that the sender
has no private key.`,
		Wire: `Initiations of 148 bytes arrive (B1) and are dropped without an answer: B2 is missing.
The sender sees silence: no-response.`,
		Alike: []Candidate{
			{WrongPublicKey, "the initiation is not made for this host's key, so that the sender's key cannot be read"},
			{HandshakeReplay, "the key is known, and the timestamp is old"},
			{NoPrivateKey, "the sender has no private key: its public key is then all zeros"},
		},
		Mend: `If the host is yours, add its key as a peer here, with its tunnel address, now and in the
configuration:
  wg set NAME peer KEY allowed-ips ADDRESS/32
If one of your peers has a new key, replace the old one in its [Peer] section. If you do not
know the host, do nothing: it gets no answer.`,
	}},
	{Code: WrongPublicKey, Class: ClassConfig, Doc: Doc{
		Title: "the other host has a wrong public key for this one",
		Meaning: `An initiation arrived whose first checksum (mac1) is not made with this host's public
key. The sender has another key in the PublicKey of its peer section, or the packet was
meant for another host. Anyone can send such a packet, so doctor and explain list it as a
finding; it is a verdict only if recordings of both ends show who sent it.`,
		Wire: `Initiations of 148 bytes arrive (B1) and are dropped at once, without an answer: B2 is
missing. The sender sees silence: no-response.`,
		Alike: []Candidate{
			{UnknownPeer, "mac1 is right, and the sender's own key is unknown here"},
			{PSKMismatch, "both public keys are right, and a response is sent"},
			{LostOnPath, "no initiation arrives"},
		},
		Mend: `On the other host, set PublicKey in its [Peer] section for this host to this host's key:
  wg show NAME public-key
Usual reasons: this host has a new key, the address leads to the wrong host (a port forward,
an old DNS record), or the private key was pasted instead of the public one.`,
	}},
	{Code: HandshakeReplay, Class: ClassConfig, Doc: Doc{
		Title: "handshakes of the peer are refused as replays",
		Meaning: `Each initiation carries the sender's time. A responder accepts only one that is newer
than the newest from that key. The peer's are older: its clock went back (an empty
battery, a virtual machine restored from a snapshot), or two hosts use its key and their
clocks differ.`,
		Wire: `Initiations of 148 bytes arrive (B1), decrypt, and are dropped without an answer: B2 is
missing. The peer sees silence: no-response.`,
		Alike: []Candidate{
			{SharedKey, "two hosts with one key: the endpoint also jumps between two addresses"},
			{ClockSkew, "a clock that is wrong but does not go back does no harm yet"},
			{UnknownPeer, "the key is not known at all"},
		},
		Mend: `Correct the peer's clock, and let NTP keep it correct:
  timedatectl
New initiations are then accepted, unless the old time was in the future. In that case
make this host forget it: remove the peer and add it again, or take the
interface down and up. The session itself does not depend on clocks.`,
	}},
	{Code: ResponseNotAccepted, Class: ClassNetwork, Doc: Doc{
		Title: "the peer initiates again and again, and no data follows",
		Meaning: `This is a general code: each initiation of the peer is answered, and the peer starts
over instead of using the session. Either the responses do not arrive there, or the peer
cannot use them. This host cannot tell which.`,
		Wire: `Initiation in (B1, 148 bytes), response out (B2, 92 bytes), every 5 seconds; no data
from the peer: B3 is missing.`,
		Alike: []Candidate{
			{PSKMismatch, "on the peer, wgnode doctor shows it with certainty"},
			{NoResponse, "on the peer, tcpdump shows no responses: a firewall or NAT on the path back drops them"},
			{UnderlayInputFirewall, "on the peer, tcpdump shows responses, and its firewall drops them"},
			{ReplyLeavesElsewhere, "here, the responses leave by another interface than the one the initiations arrived on"},
		},
		Mend: `Ask the other host:
  wgnode doctor --for 15s
  tcpdump -ni any udp and host ADDRESS
Responses that arrive and are not used point to the preshared key, those that do not
arrive to the path back.`,
	}},
	{Code: ReplyLeavesElsewhere, Class: ClassRouting, Doc: Doc{
		Title: "answers to handshakes leave by another interface than the requests arrived on",
		Meaning: `The peer's initiations arrive on one interface, and the route back to its address leads
out of another. The answer then has another source address or takes another path, and NAT
or a firewall on the path drops it. Typical for hosts with two uplinks.`,
		Wire: `Initiations in on one interface (B1), responses out of another (B2), and no data
follows.`,
		Alike: []Candidate{
			{ResponseNotAccepted, "the same, where the interfaces are the same or not known"},
			{ReversePathFilter, "the kernel drops the incoming packet for the same reason, before the tunnel sees it"},
		},
		Mend: `Route answers out of the interface that the request arrived on, with a route to the peer's
address, or with a policy rule by source address and a table of its own:
  ip route add ADDRESS via GATEWAY dev INTERFACE
  ip rule add from LOCALADDRESS lookup TABLE`,
	}},
	{Code: SharedKey, Class: ClassConfig, Doc: Doc{
		Title: "two hosts use the same key",
		Meaning: `The endpoint of one peer goes back and forth between the same two addresses, each time
by an authenticated packet. Two hosts have the same private key, usually because a
configuration was copied. Each takes the session away from the other.`,
		Wire: `Handshakes and data of one key from two addresses, in turn. Each works for some
seconds or minutes, then stops.`,
		Alike: []Candidate{
			{HandshakeReplay, "the clocks of the two differ, so that one of them is refused"},
			{Healthy, "a host that moves between networks changes its address too, but does not jump back and forth"},
		},
		Mend: `Give one of the two a key of its own, and a tunnel address of its own, and add it as
another peer here:
  wgnode genkey
If a virtual machine or a phone was cloned, the copy needs the new key.`,
	}},
}
