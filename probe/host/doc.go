// Package host is the room for evidence from the host: what its kernel did to a
// packet, or would do, outside of the tunnel.
//
// Each subject has a package of its own. All of them read, none changes how
// packets go, and none judges: a verdict is made of what they find, by
// probe/diagnose. Where the kernel can be asked it is asked, and what it says
// counts more than what was worked out.
package host
