package diagnose

import "slices"

// FiledKey is a part of a configuration that its file may say otherwise than the tunnel.
type FiledKey string

// The parts that can be why a flow fails.
const (
	FiledPrivateKey   FiledKey = "private key"
	FiledPresharedKey FiledKey = "preshared key"
	FiledEndpoint     FiledKey = "endpoint"
	FiledPeer         FiledKey = "peer" // who has the target in its AllowedIPs
)

// Unapplied is what the configuration's file says by now, and the tunnel does not.
type Unapplied struct {
	What FiledKey
	Text string // "/etc/wireguard/wg0.conf gives 10.0.0.7 to bob"
}

// filedCodes are the verdicts that each part can explain.
var filedCodes = map[FiledKey][]Code{
	FiledPrivateKey:   {NoPrivateKey, NoResponse, ResponseNotAccepted, Idle},
	FiledPresharedKey: {PSKMismatch, ResponseNotAccepted, NoResponse},
	FiledEndpoint: {NoEndpoint, EndpointUnresolved, EndpointNotRouted, EndpointInTunnel, EndpointPortClosed, EndpointUnreachable,
		EndpointProhibited, UnderlayOutputFirewall, NoResponse},
	FiledPeer: {NoAllowedIPsMatch, RouteBypassesTunnel, DestNotRouted, NoEndpoint, NoResponse, NoReply, NoRouteOnward,
		NeighborUnreachable, DisallowedSource},
}

// Explains reports whether that can be why there is a verdict with this code.
func (u *Unapplied) Explains(code Code) bool { return slices.Contains(filedCodes[u.What], code) }
