package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A tomlTable is one table that a wgnode.toml may have. What comes new to the
// format is one more of them in tomlTables.
type tomlTable struct {
	name string // with all its parts: interface.port_forward
	many bool   // whether it is an array of tables
	// alone says that one of many may be written in single brackets.
	alone bool
	// begin prepares the parser for the keys of one table, and end looks at
	// what only the whole table shows.
	begin, end func(p *parser)
	keys       []tomlKey
	required   []string
	// oneOf are names of keys that say the same thing in different ways.
	oneOf [][]string
	// peers marks what a file of peers may hold.
	peers bool
	// stack and reload are those of the keys that have none of their own.
	stack  Stack
	reload Reload
}

// header returns the table as it is written.
func (t *tomlTable) header() string {
	switch {
	case t.name == "":
		return "the top of the file"
	case t.many && !t.alone:
		return "[[" + t.name + "]]"
	}
	return "[" + t.name + "]"
}

func (t *tomlTable) key(name string) *tomlKey {
	if i := slices.IndexFunc(t.keys, func(k tomlKey) bool { return k.name == name }); i >= 0 {
		return &t.keys[i]
	}
	return nil
}

// tomlKey is one key of a table.
type tomlKey struct {
	name string
	kind tomlKind
	// conf is the key of a .conf that means the same, "" if there is none. Its
	// set is used where this one has none.
	conf string
	// set takes the value, or one item of a list, as text. For its error see
	// [keyword].
	set func(p *parser, value string) error
	// stack and reload are what the node does about the key: tests of package node
	// hold it to them.
	stack  Stack
	reload Reload
}

// tomlKind is the type that a value must have.
type tomlKind string

const (
	aString  tomlKind = "a string"
	aList    tomlKind = "an array of strings"
	aBool    tomlKind = "true or false"
	anInt    tomlKind = "an integer"
	intOrStr tomlKind = "an integer or a string"
)

var tomlTables = append([]tomlTable{{}, {
	name: "interface",
	begin: func(p *parser) {
		p.section = inInterface
	},
	keys: []tomlKey{
		{name: "name", kind: aString, set: (*parser).setName, stack: StackUses, reload: ReloadRead},
		{name: "private_key", kind: aString, conf: "PrivateKey", stack: StackUses, reload: ReloadDevice},
		{name: "private_key_file", kind: aString, conf: "PrivateKey", set: privateFrom(SourceFile), stack: StackUses, reload: ReloadDevice},
		{name: "private_key_command", kind: aString, conf: "PrivateKey", set: privateFrom(SourceCommand), stack: StackUses, reload: ReloadDevice},
		{name: "private_key_credential", kind: aString, conf: "PrivateKey", set: privateFrom(SourceCredential),
			stack: StackUses, reload: ReloadDevice},
		{name: "address", kind: aList, conf: "Address", set: (*parser).addAddress, stack: StackUses, reload: ReloadHost},
		{name: "listen_port", kind: anInt, conf: "ListenPort", stack: StackUses, reload: ReloadDevice},
		{name: "fwmark", kind: intOrStr, conf: "FwMark", stack: StackUses, reload: ReloadDevice},
		{name: "dns", kind: aList, conf: "DNS", set: (*parser).addServer, stack: StackSkips, reload: ReloadHost},
		{name: "search", kind: aList, conf: "DNS", set: (*parser).addSearch, stack: StackSkips, reload: ReloadHost},
		{name: "resolver", kind: aString, set: (*parser).setResolver, stack: StackSkips, reload: ReloadHost},
		{name: "mtu", kind: anInt, conf: "MTU", stack: StackUses, reload: ReloadHost},
		{name: "table", kind: intOrStr, conf: "Table", stack: StackSkips, reload: ReloadHost},
		{name: "pre_up", kind: aList, conf: "PreUp", set: hook("PreUp"), stack: StackSkips, reload: ReloadNext},
		{name: "post_up", kind: aList, conf: "PostUp", set: hook("PostUp"), stack: StackSkips, reload: ReloadNext},
		{name: "pre_down", kind: aList, conf: "PreDown", set: hook("PreDown"), stack: StackSkips, reload: ReloadRead},
		{name: "post_down", kind: aList, conf: "PostDown", set: hook("PostDown"), stack: StackSkips, reload: ReloadRead},
		{name: "save_config", kind: aBool, conf: "SaveConfig", stack: StackSkips, reload: ReloadRead},
		{name: "kill_switch", kind: aBool, set: flag(func(i *Interface) *bool { return &i.KillSwitch }), stack: StackRefuses, reload: ReloadHost},
		{name: "kill_switch_lan", kind: aBool, set: flag(func(i *Interface) *bool { return &i.KillSwitchLAN }),
			stack: StackRefuses, reload: ReloadHost},
		{name: "exclude", kind: aList, set: (*parser).addExclude, stack: StackSkips, reload: ReloadHost},
		{name: "forward", kind: aBool, set: flag(func(i *Interface) *bool { return &i.Forward }), stack: StackRefuses, reload: ReloadHost},
		{name: "masquerade", kind: aList, set: (*parser).addMasquerade, stack: StackRefuses, reload: ReloadHost},
		{name: "peers_file", kind: aString, set: (*parser).setPeersFile, stack: StackUses, reload: ReloadDevice},
	},
	oneOf: [][]string{secretKeys("private_key")},
	end: func(p *parser) {
		i := &p.cfg.Interface
		if i.KillSwitchLAN && !i.KillSwitch {
			p.warn(i.lines["kill_switch_lan"], "kill_switch_lan", "has no effect without kill_switch = true")
		}
		if len(i.Search) > 0 && len(i.DNS) == 0 {
			p.warn(i.lines["DNS"], "search", "has no effect without a name server under dns")
		}
	},
}, {
	name: "interface.port_forward", many: true, stack: StackRefuses, reload: ReloadHost,
	begin: func(p *parser) {
		if !p.cfg.Interface.Given("port_forward") { // the first stands for all
			p.remember("port_forward")
		}
		p.section = inUnknown
		p.cfg.Interface.PortForwards = append(p.cfg.Interface.PortForwards, PortForward{})
	},
	keys: []tomlKey{
		{name: "protocol", kind: aString, set: (*parser).setForwardProtocol},
		{name: "from", kind: aString, set: (*parser).setForwardFrom},
		{name: "port", kind: anInt, set: (*parser).setForwardPort},
		{name: "to", kind: aString, set: (*parser).setForwardTo},
	},
	required: []string{"protocol", "port", "to"},
	end:      (*parser).endForward,
}, {
	name: "metrics", stack: StackUses, reload: ReloadService,
	begin: func(p *parser) {
		p.section = inUnknown // which remembers no lines
	},
	keys: []tomlKey{
		{name: "listen", kind: aString, set: (*parser).setMetricsListen},
		{name: "hosts", kind: aList, set: (*parser).addMetricsHost},
		{name: "web_config", kind: aString, set: (*parser).setMetricsWebConfig},
	},
	required: []string{"listen"},
	end:      (*parser).endMetrics,
}, {
	name: "peer", many: true, peers: true, stack: StackUses, reload: ReloadDevice,
	begin: (*parser).beginPeer,
	keys: []tomlKey{
		{name: "name", kind: aString, set: (*parser).setPeerName},
		{name: "public_key", kind: aString, conf: "PublicKey"},
		{name: "preshared_key", kind: aString, conf: "PresharedKey"},
		{name: "preshared_key_file", kind: aString, conf: "PresharedKey", set: presharedFrom(SourceFile)},
		{name: "preshared_key_command", kind: aString, conf: "PresharedKey", set: presharedFrom(SourceCommand)},
		{name: "preshared_key_credential", kind: aString, conf: "PresharedKey", set: presharedFrom(SourceCredential)},
		{name: "endpoint", kind: aString, conf: "Endpoint"},
		{name: "allowed_ips", kind: aList, conf: "AllowedIPs", set: func(p *parser, v string) error {
			signed, err := p.addAllowedIP(v)
			p.peer.Incremental = p.peer.Incremental || signed
			return err
		}},
		{name: "persistent_keepalive", kind: intOrStr, conf: "PersistentKeepalive"},
	},
	required: []string{"public_key"},
	oneOf:    [][]string{secretKeys("preshared_key")},
}}, append(serviceTables, telemetryTable)...) // last: an endpoint is a peer's, as a rule

// secretKeys are the names under which a secret or its source can be given.
func secretKeys(name string) []string {
	return []string{name, name + "_" + string(SourceFile), name + "_" + string(SourceCommand), name + "_" + string(SourceCredential)}
}

// tableNamed returns the table, or nil if there is none of that name.
func tableNamed(name string) *tomlTable {
	if i := slices.IndexFunc(tomlTables, func(t tomlTable) bool { return t.name == name }); i >= 0 {
		return &tomlTables[i]
	}
	return nil
}

// tableOfKey returns the first table that has a key or a table of that name.
func tableOfKey(name string) *tomlTable {
	for i := range tomlTables {
		if t := &tomlTables[i]; t.key(name) != nil || tableNamed(within(t, name)) != nil {
			return t
		}
	}
	return nil
}

// within returns the full name of a table inside of t.
func within(t *tomlTable, name string) string {
	if t.name == "" {
		return name
	}
	return t.name + "." + name
}

// tomlSpelling gives the keys of a .conf the names that they have in TOML.
var tomlSpelling = func() map[string]string {
	names := make(map[string]string)
	for _, t := range tomlTables {
		for _, k := range t.keys {
			if _, taken := names[k.conf]; k.conf != "" && !taken {
				names[k.conf] = k.name
			}
		}
	}
	return names
}()

// Spell returns the name that a key of a .conf has in the file that c is from.
func (c *Config) Spell(key string) string {
	if name, ok := c.spelling[key]; ok {
		return name
	}
	return key
}

// confSetter returns what takes a value for a key of a .conf.
func confSetter(name string) func(*parser, string) error {
	for _, keys := range [][]keyword{interfaceKeys, peerKeys} {
		if i := indexOf(keys, name); i >= 0 {
			return keys[i].set
		}
	}
	panic("config: no key " + name)
}

func (p *parser) setName(v string) error {
	if !ValidName(v) {
		return fmt.Errorf("%s is not the name of an interface: at most 15 letters, digits and _=+.-", quote(v))
	}
	p.cfg.Name = v
	return nil
}

func privateFrom(kind SourceKind) func(*parser, string) error {
	return func(p *parser, v string) (err error) {
		p.cfg.Interface.PrivateKeyFrom, err = p.source(kind, v)
		return err
	}
}

func presharedFrom(kind SourceKind) func(*parser, string) error {
	return func(p *parser, v string) (err error) {
		p.peer.PresharedKeyFrom, err = p.source(kind, v)
		return err
	}
}

func (p *parser) source(kind SourceKind, v string) (Source, error) {
	switch {
	case kind == SourceFile:
		v = p.resolvePath(v)
	case kind == SourceCredential && (v != filepath.Base(v) || v == "." || v == ".."):
		return Source{}, fmt.Errorf("%s is not the name of a credential: it is a file right in $CREDENTIALS_DIRECTORY", quote(v))
	}
	return Source{kind, v}, nil
}

// resolvePath makes a path that is relative to the folder of the file one that
// is relative to where the path of the file is.
func (p *parser) resolvePath(v string) string {
	if filepath.IsAbs(v) {
		return filepath.Clean(v)
	}
	return filepath.Join(filepath.Dir(p.cfg.Path), v)
}

func (p *parser) setPeersFile(v string) error {
	p.cfg.Interface.PeersFile = p.resolvePath(v)
	if ext := filepath.Ext(v); ext != ".toml" && ext != ".conf" {
		return fmt.Errorf("%s is neither a .toml nor a .conf", quote(v))
	}
	return nil
}

func (p *parser) addAddress(v string) error {
	prefix, err := parsePrefix(v)
	if err == nil {
		p.cfg.Interface.Addresses = append(p.cfg.Interface.Addresses, prefix)
	}
	return err
}

func (p *parser) addServer(v string) error {
	addr, err := parseServer(v)
	if err != nil && !isServer(v) {
		return fmt.Errorf("%w: domains belong under search", err)
	}
	p.cfg.Interface.DNS = append(p.cfg.Interface.DNS, addr)
	return err
}

func (p *parser) addSearch(v string) error {
	switch {
	case isServer(v):
		return fmt.Errorf("%s is not a domain: name servers belong under dns", quote(v))
	case strings.ContainsFunc(v, func(r rune) bool { return isSpace(r) || r == ',' || r == '#' }):
		return fmt.Errorf("%s is not a domain", quote(v))
	}
	p.cfg.Interface.Search = append(p.cfg.Interface.Search, v)
	return nil
}

var resolvers = []string{"systemd-resolved", "resolvconf", "file", "off"}

func (p *parser) setResolver(v string) error {
	if !slices.Contains(resolvers, v) {
		return fmt.Errorf("%s is none of %s", quote(v), strings.Join(resolvers, ", "))
	}
	p.cfg.Interface.Resolver = v
	return nil
}

// hook takes a command. Other than in a .conf it may have many lines.
func hook(name string) func(*parser, string) error {
	set := confSetter(name)
	return func(p *parser, v string) error {
		if v = trim(v); v == "" {
			return errEmpty
		}
		return set(p, v)
	}
}

var errEmpty = errors.New("is empty: leave it out")

func flag(field func(*Interface) *bool) func(*parser, string) error {
	return func(p *parser, v string) (err error) {
		*field(&p.cfg.Interface), err = parseBool(v)
		return err
	}
}

func (p *parser) addExclude(v string) error {
	prefix, err := parsePrefix(v)
	if err != nil {
		return err
	}
	prefix = p.mask(prefix, "exclude")
	if i := &p.cfg.Interface; !slices.Contains(i.Exclude, prefix) {
		i.Exclude = append(i.Exclude, prefix)
	}
	return nil
}

func (p *parser) addMasquerade(v string) error {
	if err := checkInterface(v); err != nil {
		return err
	}
	if i := &p.cfg.Interface; !slices.Contains(i.Masquerade, v) {
		i.Masquerade = append(i.Masquerade, v)
	}
	return nil
}

func checkInterface(v string) error {
	if !ValidName(v) {
		return fmt.Errorf("%s is not the name of an interface", quote(v))
	}
	return nil
}

func (p *parser) setPeerName(v string) error {
	if v != printable(v) {
		return fmt.Errorf("%s begins or ends with white space, or holds what cannot be printed", quote(v))
	}
	p.peer.Name = v
	return nil
}
