package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// Resolve reads what a wgnode.toml only points at: the keys that are kept in
// files, by commands or as credentials of systemd, and the peers that nodes
// share. Commands are run by bash, without input, and get 10 s each. Only with
// it, c says what the tunnel is to be; a Config of a .conf always does.
//
// The shared peers come before those of the file itself. The one with our own
// public key is left out. For a peer that is in both files each key counts
// that the node's own file gives, and the rest comes from the shared one.
//
// The error is an [Errors] with all that could not be read; c is then as it
// was. A second call changes nothing.
func (c *Config) Resolve(ctx context.Context) error {
	return c.resolve(resolver{ctx: ctx, from: c})
}

// ResolveFiles is Resolve but for what commands print, which is missing from c
// then. It returns the keys, as "wg0.toml:3: private_key_command", of those that
// there are. If there are some, c is not [Config.Resolved].
func (c *Config) ResolveFiles() (commands []string, err error) {
	err = c.resolve(resolver{ctx: context.Background(), from: c, commands: &commands})
	return commands, err
}

func (c *Config) resolve(r resolver) error {
	switch {
	case c.resolved:
		return nil
	case c.inspected:
		return fmt.Errorf("%s was read to be looked at, not to be followed", c.Path)
	}
	if c.Import != "" {
		if err := c.readImport(); err != nil {
			return err
		}
	}
	private := c.Interface.PrivateKey
	if from := c.Interface.PrivateKeyFrom; from != (Source{}) {
		private = readKey(&r, from, "private_key", c.Interface.lines["PrivateKey"], key.ParsePrivate)
	}
	peers := slices.Clone(c.Peers)
	r.presharedKeys(c, peers)
	services := c.Services
	services.SOCKS5, services.HTTP = r.passwords(services.SOCKS5), r.passwords(services.HTTP)
	told := c.Telemetry
	if told.HeadersFrom != (Source{}) {
		told.Headers = readKey(&r, told.HeadersFrom, "headers", told.line, parseHeaders)
	}
	if c.Interface.PeersFile != "" {
		peers = r.merge(r.peersFile(c.Interface.PeersFile, private), peers)
	}
	if len(r.errs) > 0 {
		return withDoubts(r.errs, r.doubts)
	}
	c.Interface.PrivateKey, c.Peers, c.Services, c.Telemetry = private, peers, services, told
	c.resolved = r.commands == nil || len(*r.commands) == 0
	c.warnings, c.secretFiles = append(r.warnings, c.warnings...), append(c.secretFiles, r.secretFiles...)
	return nil
}

// Resolved says whether there is nothing left for [Config.Resolve] to read.
func (c *Config) Resolved() bool {
	i := &c.Interface
	return c.resolved || i.PeersFile == "" && c.Import == "" &&
		!slices.ContainsFunc(slices.Concat(c.Services.SOCKS5, c.Services.HTTP), Proxy.unread) &&
		(c.Telemetry.HeadersFrom == Source{} || c.Telemetry.Headers != "") &&
		(i.PrivateKeyFrom == Source{} || !i.PrivateKey.IsZero()) &&
		!slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.PresharedKeyFrom != Source{} && p.PresharedKey.IsZero() })
}

// Inline makes what was read from other places part of c itself, as if it had
// been written there. It is for a c that is resolved.
func (c *Config) Inline() {
	c.Interface.PrivateKeyFrom, c.Interface.PeersFile = Source{}, ""
	for i := range c.Peers {
		c.Peers[i].PresharedKeyFrom, c.Peers[i].Shared = Source{}, false
	}
	for _, proxies := range [][]Proxy{c.Services.SOCKS5, c.Services.HTTP} {
		for i := range proxies {
			proxies[i].PasswordFrom = Source{}
		}
	}
	c.Telemetry.HeadersFrom = Source{}
	c.Import = ""
}

// readImport takes Interface and Peers from the file that they are in.
func (c *Config) readImport() error {
	fail := func(err error) error {
		return withDoubts(Errors{{c.Path, c.importLine, "WGConfig", err.Error()}}, addDoubt(nil, err))
	}
	f, doubts, err := openTrusted(c.Import, c.trusted())
	if err != nil {
		return fail(err)
	}
	defer f.Close() // nothing was written: its error says nothing
	text, err := readAll(f, f.Name())
	if err != nil {
		return fail(err)
	}
	p := parser{cfg: &Config{Path: f.Name()}, imported: true}
	from, err := p.parse(text)
	if err != nil {
		return err
	}
	if from.Import != "" || from.Services.Any() {
		return fail(fmt.Errorf("%s is to have nothing but [Interface] and [Peer]", c.Import))
	}
	from.Name, from.owners = c.Name, c.trusted()
	if err := from.checkHooks(); err != nil {
		return err
	}
	secret, warnings, err := secretIn(f)
	if err != nil {
		return fail(err)
	}
	c.Interface, c.Peers = from.Interface, from.Peers
	c.secretFiles = append(c.secretFiles, secret)
	c.warnings = slices.Concat(doubts, warnings, from.warnings, c.warnings)
	return nil
}

// unread reports whether the password is still where it is kept.
func (p Proxy) unread() bool { return p.PasswordFrom != Source{} && p.Password == "" }

// passwords reads the passwords of proxies.
func (r *resolver) passwords(proxies []Proxy) []Proxy {
	proxies = slices.Clone(proxies)
	for i := range proxies {
		if p := &proxies[i]; p.PasswordFrom != (Source{}) {
			p.Password = readKey(r, p.PasswordFrom, "password", p.line, parsePassword)
		}
	}
	return proxies
}

func parsePassword(text string) (Password, error) {
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return "", errors.New("not one line of text")
	}
	return Password(text), checkWord(text)
}

// resolver collects what goes wrong while a Config is resolved.
type resolver struct {
	ctx      context.Context
	from     *Config // the file whose keys are being read
	errs     Errors
	doubts   []error // those of errs that are about others' files
	warnings []Warning

	secretFiles []string
	// commands, if not nil, gets the places of the commands, which are not run.
	commands *[]string
}

func (r *resolver) fail(line int, key string, err error) {
	r.errs = append(r.errs, &Error{r.from.Path, line, key, err.Error()})
	r.doubts = addDoubt(r.doubts, err)
}

// presharedKeys reads the keys of peers, which file has given.
func (r *resolver) presharedKeys(file *Config, peers []Peer) {
	defer func(outer *Config) { r.from = outer }(r.from)
	r.from = file
	for i := range peers {
		p := &peers[i]
		if p.PresharedKeyFrom != (Source{}) {
			p.PresharedKey = readKey(r, p.PresharedKeyFrom, "preshared_key", p.lines["PresharedKey"], key.ParsePreshared)
		}
	}
}

// peersFile reads the peers that nodes share, but for this node.
func (r *resolver) peersFile(path string, private key.Private) []Peer {
	shared, err := r.readPeers(path)
	var faults Errors
	if errors.As(err, &faults) {
		r.errs = append(r.errs, faults...)
		return nil
	}
	if err != nil {
		r.fail(r.from.Interface.lines["peers_file"], "peers_file", err)
		return nil
	}
	r.warnings, r.secretFiles = append(r.warnings, shared.warnings...), append(r.secretFiles, shared.secretFiles...)
	peers := shared.Peers
	if !private.IsZero() {
		self := private.Public()
		peers = slices.DeleteFunc(peers, func(p Peer) bool { return p.PublicKey == self })
	}
	for i := range peers {
		p := &peers[i]
		p.Shared = true
		// A key that the node's own file has does not count here: it may be in
		// a place that this host does not have.
		if slices.ContainsFunc(r.from.Peers, func(own Peer) bool { return own.PublicKey == p.PublicKey && own.Given("PresharedKey") }) {
			p.PresharedKey, p.PresharedKeyFrom = key.Preshared{}, Source{}
		}
	}
	r.presharedKeys(shared, peers)
	return peers
}

func (r *resolver) readPeers(path string) (*Config, error) {
	f, doubts, err := openTrusted(path, r.from.trusted())
	if err != nil {
		return nil, err
	}
	r.warnings = append(r.warnings, doubts...)
	defer f.Close() // nothing was written: its error says nothing
	text, err := readAll(f, f.Name())
	if err != nil {
		return nil, err
	}
	var shared *Config
	if strings.HasSuffix(path, ".toml") {
		shared, err = parseTOML(text, f.Name(), "", true)
	} else {
		p := parser{cfg: &Config{Path: f.Name()}, peersOnly: true}
		shared, err = p.parse(text)
	}
	if err != nil {
		return nil, err
	}
	if shared.holdsSecret() {
		secret, warnings, err := secretIn(f)
		if err != nil {
			return nil, err
		}
		shared.secretFiles, shared.warnings = []string{secret}, append(warnings, shared.warnings...)
	}
	return shared, nil
}

// merge puts the shared peers before the node's own, of which those that are
// in both take what they do not say themselves.
func (r *resolver) merge(shared, own []Peer) []Peer {
	byKey := make(map[key.Public]*Peer, len(shared))
	for i := range shared {
		byKey[shared[i].PublicKey] = &shared[i]
	}
	both := make(map[key.Public]bool)
	for i := range own {
		if from := byKey[own[i].PublicKey]; from != nil {
			both[from.PublicKey] = true
			own[i].inherit(from)
		}
	}
	shared = slices.DeleteFunc(slices.Clone(shared), func(p Peer) bool { return both[p.PublicKey] })
	owner := make(map[netip.Prefix]*Peer)
	for i := range shared {
		for _, prefix := range shared[i].AllowedIPs {
			owner[prefix] = &shared[i]
		}
	}
	for i := range own {
		p := &own[i]
		for _, prefix := range p.AllowedIPs {
			if prev := owner[prefix]; prev != nil {
				e := Error{r.from.Path, p.AllowedIPsLine(prefix), r.from.Spell("AllowedIPs"),
					fmt.Sprintf("%s was given to %s in %s; only %s gets it", prefix, prev, r.from.Interface.PeersFile, p)}
				r.warnings = append(r.warnings, Warning{Kind: WarnOverlap, Text: e.Error(), Fix: oneOwner})
			}
		}
	}
	return append(shared, own...)
}

// inherit takes over what p does not say itself.
func (p *Peer) inherit(from *Peer) {
	p.Name = cmp.Or(p.Name, from.Name)
	p.Endpoint = cmp.Or(p.Endpoint, from.Endpoint)
	if !p.Given("PresharedKey") {
		p.PresharedKey, p.PresharedKeyFrom = from.PresharedKey, from.PresharedKeyFrom
	}
	if !p.Given("AllowedIPs") {
		p.AllowedIPs, p.Removed, p.Incremental = from.AllowedIPs, from.Removed, from.Incremental
	}
	if !p.Given("PersistentKeepalive") {
		p.PersistentKeepalive = from.PersistentKeepalive
	}
}
