// Package config reads configuration files into one typed [Config]: those of
// wg-quick, and TOML files of wgnode's own. It writes both, too.
//
// The format of a .conf is that of wg-quick(8) and wg(8) together, as their code reads it
// and not only as their manuals say: sections and keys ignore case, `#` starts
// a comment except in the value of a hook, lists are separated by commas and
// their keys repeat, a scalar key that repeats counts the last time, and white
// space inside the value of one of wg's own keys does not count at all. On top
// of it, a comment `# Name = X` in a [Peer] section gives that peer a name, and so do the
// comments that generators of configurations write.
//
// A .toml says all that a .conf can, in values that have types, and more:
// examples/wgnode.toml explains each key. Both formats share the checks of a
// value, and each tells of its faults in its own names.
//
// A Config says what the file wants, on any host; nothing in this package looks
// at the system, but for the file itself and what it points at, and for the numbers
// of tables and services that have names there. That a .toml
// keeps keys in other places and shares peers with other files makes two steps
// of reading it: [Read] for the file, [Config.Resolve] for the rest. [Load] is
// both.
//
// Parsing collects every problem before it gives up: the error of [Parse],
// [ParseTOML] and [Load] is an [Errors], each of which has its line and key. No
// error and no warning ever holds the value of a key that may be secret; only
// [Config.WriteConf], [Config.WriteTOML] and [Strip] reveal secrets.
//
// The commands of wg(8) use the same parser: [ParseWG] for files without
// wg-quick's keys, [Builder] for values from the command line.
//
// A Config is plain data. It may be built in code, copied, and read from many
// goroutines, but not changed while others read it.
package config

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"strconv"

	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/key"
)

// Config is one interface and its peers, as one file describes them.
type Config struct {
	// Path is the file that it was read from, with symbolic links resolved, or
	// "" if it came from elsewhere. It leads error messages.
	Path string
	// Name is the interface's: wg0 for /etc/wireguard/wg0.conf. A .toml may say
	// itself what it is.
	Name string

	Interface Interface
	Metrics   Metrics
	Telemetry Telemetry
	// Peers are in the order of the file. Two of them may have the same public
	// key: they are then applied one after the other, as wg(8) does.
	Peers []Peer
	// Services are those of a node without an interface.
	Services Services
	// Import is the file that Interface and Peers come from, "" for this one. Only
	// a file of wireproxy's has it.
	Import     string
	importLine int
	// ForStack says that the file is one of wireproxy's, which describes a node
	// without an interface.
	ForStack bool

	warnings []Warning
	// owners are the users whose files are trusted; nil if it is from no file.
	owners safefile.Owners
	// inspected says that it is not to be resolved.
	inspected bool
	// secretFiles are those that secrets were read from.
	secretFiles []string
	comments    int
	headed      bool // there is an [Interface], if only an empty one
	resolved    bool // Resolve has done its work
	// digest is that of the text, see Reread.
	digest [sha256.Size]byte
	// spelling are the names that the keys of a .conf have in the format that it
	// is from, nil for a .conf.
	spelling map[string]string
}

// Interface is the [Interface] section. Zero values mean "not given", which
// for each key has the same effect as wg's and wg-quick's default.
type Interface struct {
	PrivateKey key.Private
	ListenPort uint16 // 0: the kernel chooses
	FwMark     uint32 // 0: off

	// Addresses keep their host bits: 10.0.0.1/24 stays 10.0.0.1/24. An address
	// that was written without a mask has the full length.
	Addresses []netip.Prefix
	DNS       []netip.Addr // name servers
	Search    []string     // search domains: what else the DNS key held
	MTU       int          // bytes; 0: to be computed
	Table     Table
	// TableName is what the file calls Table, "" where it has a number. It was
	// looked up on this host.
	TableName string

	// Hooks are commands for bash, in order, with %i not yet replaced.
	PreUp, PostUp, PreDown, PostDown []string

	SaveConfig bool

	// What follows only a wgnode.toml can say.

	// Resolver names what gets the name servers: "systemd-resolved",
	// "resolvconf", "file" or "off"; "" lets wgnode choose.
	Resolver string
	// KillSwitch lets nothing leave the host but by the tunnel, from before it
	// is up until it is taken down, also while nobody serves it. With
	// KillSwitchLAN the networks that the host is in stay reachable.
	KillSwitch, KillSwitchLAN bool
	// Exclude are prefixes that stay outside of the tunnel although AllowedIPs
	// cover them. They are masked.
	Exclude []netip.Prefix
	// Forward makes the host forward packets that come from the tunnel and go
	// into it. Masquerade are interfaces on which what came from the tunnel
	// leaves with the host's own address there.
	Forward    bool
	Masquerade []string
	// PortForwards lead connections that reach this host to a host in the
	// tunnel.
	PortForwards []PortForward
	// PrivateKeyFrom is where PrivateKey is kept, if not in the file.
	PrivateKeyFrom Source
	// PeersFile is the file that further peers come from, "" for none.
	PeersFile string

	lines lines
}

// Metrics is where health and metrics are served. Only a wgnode.toml can say so.
type Metrics struct {
	Listen Listen
	// Hosts are names under which it may be asked besides those of loopback.
	Hosts []string
	// WebConfig is the file that says who may ask, "" for whoever can on this host.
	WebConfig string

	line int // of its key; 0 if it came from no file
}

// PortForward leads what arrives at a port of this host to another address,
// which is reached through the tunnel.
type PortForward struct {
	Protocol string         // "tcp" or "udp"
	From     string         // the interface that it arrives on; "" for any but the tunnel
	Port     uint16         // at which it arrives
	To       netip.AddrPort // the family tells which packets are meant
}

// Source is where a secret is kept. The zero Source is the file itself.
type Source struct {
	Kind  SourceKind
	Value string // path, command line for bash, or name of a credential
}

// SourceKind is a kind of [Source].
type SourceKind string

const (
	SourceFile       SourceKind = "file"
	SourceCommand    SourceKind = "command"
	SourceCredential SourceKind = "credential" // of systemd: a file in $CREDENTIALS_DIRECTORY
)

// Peer is one [Peer] section.
type Peer struct {
	// Name comes from a comment: `# Name = X` or `# friendly_name = X` in the
	// section, the form of a generator, or one that is nothing but a name; "" if
	// there is none. It holds only printable characters.
	Name string

	PublicKey    key.Public
	PresharedKey key.Preshared // zero: none
	// PresharedKeyFrom is where PresharedKey is kept, if not in the file.
	PresharedKeyFrom Source
	// Shared says that the peer came from the Interface's PeersFile, to which
	// its lines then belong. One that is in the node's own file too is not.
	Shared bool

	// Endpoint is host:port, "" for none. The host is a name or an address and
	// was checked for syntax only; IPv6 addresses are in brackets, so that
	// net.SplitHostPort can take it apart.
	Endpoint string

	// AllowedIPs are masked, in the order of the file, without duplicates.
	AllowedIPs []netip.Prefix
	// Removed are the prefixes that the file wrote with a '-' in front.
	Removed []netip.Prefix
	// Incremental says that the last AllowedIPs line held a '+' or '-', so that
	// the lists change what the peer has instead of replacing it.
	Incremental bool

	PersistentKeepalive uint16 // seconds; 0: off

	Line int // of the section's header, or the table's; 0 if it came from no file

	lines     lines
	nameLines []int // of the comments that the name comes from
}

// String names the peer for people: by its name if it has one, else by the short
// form of its public key.
func (p *Peer) String() string {
	if p.Name == "" {
		return "peer " + p.PublicKey.Short()
	}
	return "peer " + p.Name
}

// AllowedIPsLine returns the line that gave prefix to the peer, 0 if unknown.
func (p *Peer) AllowedIPsLine(prefix netip.Prefix) int {
	return p.lines[allowedIPsKey(prefix)]
}

// Table says where routes go: to the main table with wg-quick's special
// treatment of default routes (TableAuto), nowhere (TableOff), or to the table
// with that number.
type Table int64

const (
	TableAuto Table = 0
	TableOff  Table = -1
)

// String returns the value in the notation of the file.
func (t Table) String() string {
	switch t {
	case TableAuto:
		return "auto"
	case TableOff:
		return "off"
	}
	return strconv.FormatInt(int64(t), 10)
}

// tableText is Table as the file has it.
func (i *Interface) tableText() string {
	if i.TableName != "" {
		return i.TableName
	}
	return i.Table.String()
}

// Comments returns how many comments the file had besides the names of peers.
// They are lost when c is written.
func (c *Config) Comments() int { return c.comments }

// Route is one prefix that the interface's peers are allowed, and by whom.
type Route struct {
	Prefix netip.Prefix
	Peer   int // index into Config.Peers of the last one that claims it
}

// AllowedRoutes returns the prefixes that remain when the peers are applied in
// order to a fresh interface: a prefix that two peers claim belongs to the
// last, and a public key that comes twice is one peer, whose second section
// replaces the AllowedIPs of the first unless it is incremental. A peer with the
// interface's own key has none: the device leaves it out. The result is in the
// order in which prefixes first appear.
func (c *Config) AllowedRoutes() []Route {
	routes := make([]Route, 0, len(c.Peers))
	own := c.ownPublic()
	at := make(map[netip.Prefix]int, len(c.Peers)) // into routes; Peer -1 marks a removed one
	seen := make(map[key.Public]bool, len(c.Peers))
	for i := range c.Peers {
		p := &c.Peers[i]
		if own != nil && p.PublicKey == *own {
			continue
		}
		owned := func(r Route) bool { return r.Peer >= 0 && c.Peers[r.Peer].PublicKey == p.PublicKey }
		if seen[p.PublicKey] && !p.Incremental {
			for j := range routes {
				if owned(routes[j]) {
					routes[j].Peer = -1
				}
			}
		}
		seen[p.PublicKey] = true
		for _, prefix := range p.AllowedIPs {
			if j, ok := at[prefix]; ok {
				routes[j].Peer = i
				continue
			}
			at[prefix] = len(routes)
			routes = append(routes, Route{prefix, i})
		}
		for _, prefix := range p.Removed {
			if j, ok := at[prefix]; ok && owned(routes[j]) {
				routes[j].Peer = -1
			}
		}
	}
	return slices.DeleteFunc(routes, func(r Route) bool { return r.Peer < 0 })
}
