package control

import (
	"net/netip"
	"time"

	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel"
)

// Status is what is said of a WireGuard's present state: the answer to GET /v1/status.
type Status struct {
	Interface  string          `json:"interface"`
	Config     string          `json:"config,omitempty"` // path, "" if it came from elsewhere
	PID        int             `json:"pid"`
	Netstack   bool            `json:"netstack,omitempty"`
	Elsewhere  bool            `json:"elsewhere,omitempty"` // the interface is not this host's
	Level      probe.Level     `json:"level,omitempty"`     // how much is known of its packets; "": it is of an earlier release's node
	Less       string          `json:"less,omitempty"`      // why it is not more, of a device of the kernel's
	PublicKey  key.Public      `json:"public_key"`
	ListenPort uint16          `json:"listen_port"`
	Counters   tunnel.Counters `json:"counters"`
	Peers      []PeerStatus    `json:"peers"`
}

// OfKernel reports whether it is a device of the kernel's that is looked at.
func (s *Status) OfKernel() bool { return s.Level != "" && s.Level != probe.LevelDevice }

// PeerStatus is one peer of a [Status], also one that was removed since the
// node started if anything of it was dropped.
type PeerStatus struct {
	PublicKey  key.Public        `json:"public_key"`
	Name       string            `json:"name,omitempty"`
	Configured bool              `json:"configured"`
	Endpoint   netip.AddrPort    `json:"endpoint,omitzero"` // where packets go now
	Written    string            `json:"written,omitempty"` // the endpoint in the configuration
	Set        netip.AddrPort    `json:"set,omitzero"`      // one that another program has set in its place
	Resolve    string            `json:"resolve,omitempty"` // why Written does not resolve
	Handshake  time.Time         `json:"handshake,omitzero"`
	Waiting    uint64            `json:"waiting,omitempty"` // packets inside the device
	Drops      map[string]uint64 `json:"drops,omitempty"`   // packets, by reason
	// AllowedIPs are those of a peer of the kernel's: a node's UAPI socket tells its own.
	AllowedIPs []netip.Prefix `json:"allowed_ips,omitempty"`
}

// PeerName is one peer of the answer to GET /v1/peers.
type PeerName struct {
	PublicKey key.Public `json:"public_key"`
	Name      string     `json:"name,omitempty"`
}

// ReloadRequest asks a node to take over what a file says by now.
type ReloadRequest struct {
	Config string `json:"config,omitempty"` // path; "" for the file that the node was started with
	Check  bool   `json:"check,omitempty"`  // nothing is to change; the answer says what would
}

// ReloadAnswer tells what became of it.
type ReloadAnswer struct {
	Output string `json:"output,omitempty"` // lines for people, as Start writes them
	Error  string `json:"error,omitempty"`  // why nothing was changed
	// Changed says whether anything has changed, or would; nil where an earlier release answers.
	Changed *bool `json:"changed,omitempty"`
}

// ConnectRequest asks for a connection through the tunnel.
type ConnectRequest struct {
	Address string `json:"address"` // HOST:PORT; a name is looked up inside
}
