package conffile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/setup"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// peerAdd is a command line of `peer add`.
type peerAdd struct {
	name      string
	endpoint  string
	dns       []string
	full      bool
	routes    []string
	addresses []string
	keepalive uint16
	psk       bool
	public    string

	qr, keep, json bool
	write          string
}

// AddedPeer is what `wgnode peer add --json` prints.
type AddedPeer struct {
	Schema    schema.Version `json:"schema"`
	Interface string         `json:"interface"`
	File      string         `json:"file"` // the server's configuration, which has the peer now
	Name      string         `json:"name"`
	PublicKey key.Public     `json:"public_key"`
	Addresses []netip.Addr   `json:"addresses"` // the peer's, in the tunnel
	Endpoint  string         `json:"endpoint"`  // where the peer finds this host
	Applied   string         `json:"applied"`   // reloaded; not-running; by-hand: another program must tell the tunnel
	Config    string         `json:"config"`    // the peer's own configuration, with its private key
	Kept      string         `json:"kept,omitempty"`
	Written   string         `json:"written,omitempty"`
}

func newPeerAddCommand() *cobra.Command {
	a := peerAdd{psk: true, keepalive: 25}
	cmd := &cobra.Command{
		Use:   "add NAME [CONF|NAME]",
		Short: "Add a peer, and print the file for its own end",
		Long: `Add gives a new peer the next free address in each of the interface's networks,
creates its keys, adds it to the configuration file, and reloads the running tunnel.
It prints the file for the peer's own end, in wg-quick's format, or with --qr as a QR
code for WireGuard's apps. If anything fails, the file and the
tunnel are as they were before.

The peer's private key does not stay on this host, unless --keep is given: then
its file is kept beside this one, for root alone, and "wgnode peer show" shows it
again. With --public-key the peer makes its own key, which is never on this host.

The peer finds this host at --endpoint, or else at the address that this host uses
towards the internet. If that is behind NAT, give the outer name or address.

For an interface of another program's, such as wg-quick over the kernel's
WireGuard, it changes the file, and prints the command that applies it.`,
		Example: "  wgnode peer add phone --qr\n" +
			"  wgnode peer add laptop wg0 --endpoint vpn.example.com --full-tunnel -w l.conf\n" +
			"  wgnode peer add office ./wg0.conf --public-key KEY --route 192.168.7.0/24",
		RunE: func(cmd *cobra.Command, args []string) error {
			a.name = args[0]
			if err := a.check(cmd); err != nil {
				return cli.NewUsageError(cmd, err)
			}
			return a.run(cmd, args[1:])
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return naming.CompleteConfigs(cmd, args[1:], toComplete)
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.endpoint, "endpoint", "", "where the peer finds this host: `HOST` or HOST:PORT")
	f.StringSliceVar(&a.dns, "dns", nil, "the peer's name servers and search domains: `ADDR,...`")
	f.BoolVar(&a.full, "full-tunnel", false, "all that the peer sends goes through the tunnel")
	f.StringSliceVar(&a.routes, "route", nil, "a network behind this host that the peer reaches through the tunnel: `PREFIX,...`")
	f.StringSliceVar(&a.addresses, "address", nil, "the peer's addresses, in place of the next free ones: `ADDR,...`")
	f.Uint16Var(&a.keepalive, "keepalive", a.keepalive, "the peer sends something every so many `SECONDS`; 0: only when it has to")
	f.BoolVar(&a.psk, "psk", a.psk, "make a preshared key, too")
	f.StringVar(&a.public, "public-key", "", "the peer's public `KEY`, whose private key it has made itself")
	f.BoolVar(&a.qr, "qr", false, "print the peer's file as a QR code")
	f.StringVarP(&a.write, "write", "w", "", "write the peer's file to `FILE`, which only you can read, and do not print it")
	f.BoolVar(&a.keep, "keep", false, "keep the peer's file here, for \"wgnode peer show\"")
	f.BoolVar(&a.json, "json", false, "print one JSON object")
	_ = cmd.RegisterFlagCompletionFunc("write", cli.CompleteFile) // fails only for a flag that is not there
	return cmd
}

func (a *peerAdd) check(cmd *cobra.Command) error {
	if err := config.CheckPeerName(a.name); err != nil {
		return err
	}
	if _, err := a.servers(&setup.Client{}); err != nil {
		return err
	}
	switch {
	case a.json && a.qr:
		return errors.New("--json and --qr exclude each other")
	case a.public == "":
		return nil
	case a.qr, a.keep:
		return errors.New("with --public-key the private key is not here: there is no whole file for --qr or --keep")
	}
	if _, err := key.ParsePublic(a.public); err != nil {
		return fmt.Errorf("--public-key: %w", err)
	}
	return nil
}

// servers puts the values of flags that are lists into c.
func (a *peerAdd) servers(c *setup.Client) (*setup.Client, error) {
	for _, s := range a.dns {
		if addr, err := netip.ParseAddr(s); err == nil {
			c.DNS = append(c.DNS, addr)
		} else if strings.Trim(s, "0123456789.") == "" || strings.ContainsAny(s, ":/#, \t") {
			return nil, fmt.Errorf("--dns %s: want the address of a name server, or a domain", config.Redact(s))
		} else {
			c.Search = append(c.Search, s)
		}
	}
	for _, s := range a.routes {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("--route %s: want a prefix, such as 192.168.7.0/24", config.Redact(s))
		}
		c.Routes = append(c.Routes, p.Masked())
	}
	for _, s := range a.addresses {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("--address %s: want an IP address", config.Redact(s))
		}
		c.Addresses = append(c.Addresses, addr.Unmap())
	}
	return c, nil
}

func (a *peerAdd) run(cmd *cobra.Command, args []string) error {
	// Of a reader that has gone the last write is to fail, and with it all.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := cli.Interrupted(cmd.Context())
	defer stop()
	path, err := peerPath(cmd, args)
	if err != nil {
		return err
	}
	return setup.Locked(path, func() error {
		f, err := openPeerFile(ctx, cmd, []string{path}, true)
		if err != nil {
			return err
		}
		client, err := a.client(ctx, cmd, f)
		if err != nil {
			return err
		}
		return a.add(cmd, f, client)
	})
}

// client is the peer that is to be.
func (a *peerAdd) client(ctx context.Context, cmd *cobra.Command, f *peerFile) (*setup.Client, error) {
	for i := range f.cfg.Peers {
		if p := &f.cfg.Peers[i]; strings.EqualFold(p.Name, a.name) {
			return nil, cli.WithHint(fmt.Errorf("%s has a peer %s already", f.path, p.Name),
				"choose another name; to give it new keys: wgnode peer rm "+config.ShellQuote(p.Name)+" "+f.word()+", then add it again")
		}
	}
	if f.cfg.Interface.PrivateKey.IsZero() {
		err := fmt.Errorf("%s: %s is missing: a peer needs to know the public key of this host", f.path, f.cfg.Spell("PrivateKey"))
		return nil, cli.WithHint(err,
			"`wgnode genkey` makes one")
	}
	c, err := a.servers(&setup.Client{Name: a.name, Full: a.full, Keepalive: a.keepalive})
	if err != nil {
		return nil, err
	}
	if c.Private = key.GeneratePrivate(); a.public != "" {
		c.Private = key.Private{}
		c.Public, err = key.ParsePublic(a.public)
	} else {
		c.Public = c.Private.Public()
	}
	if a.psk {
		c.Preshared = key.GeneratePreshared()
	}
	if err != nil || slices.ContainsFunc(f.cfg.Peers, func(p config.Peer) bool { return p.PublicKey == c.Public }) {
		return nil, errors.Join(err, fmt.Errorf("%s has a peer with the key %s already", f.path, c.Public))
	}
	if err := a.choose(c, f); err != nil {
		return nil, err
	}
	if c.Endpoint, err = a.whereWeAre(ctx, cmd, f); err != nil {
		return nil, err
	}
	if host, err := os.Hostname(); err == nil && config.CheckPeerName(host) == nil {
		c.Server = host
	}
	return c, nil
}

// choose gives the client its addresses.
func (a *peerAdd) choose(c *setup.Client, f *peerFile) error {
	claims := f.claims()
	for _, addr := range c.Addresses {
		if err := setup.Check(addr, claims); err != nil {
			return fmt.Errorf("--address: %w", err)
		}
	}
	if len(c.Addresses) > 0 {
		return nil
	}
	networks := setup.Networks(f.cfg)
	if len(networks) == 0 {
		return cli.WithHint(fmt.Errorf("%s: %w", f.path, &setup.NoNetworkError{Addresses: f.cfg.Interface.Addresses}),
			"give its "+f.cfg.Spell("Address")+" the length of a network, such as 10.0.0.1/24, or choose the peer's by --address")
	}
	var err error
	if c.Addresses, err = setup.NextAddresses(networks, claims); err != nil {
		return cli.WithHint(fmt.Errorf("%s: %w", f.path, err),
			"add a second network to "+f.cfg.Spell("Address")+", remove a peer, or choose an address by --address")
	}
	return nil
}

// whereWeAre is where the peer finds this host.
func (a *peerAdd) whereWeAre(ctx context.Context, cmd *cobra.Command, f *peerFile) (string, error) {
	port := f.cfg.Interface.ListenPort
	noPort := func(err error) error {
		if !errors.Is(err, setup.ErrNoPort) {
			return fmt.Errorf("--endpoint: %w", err)
		}
		return cli.WithHint(fmt.Errorf("%s: %w", f.path, err),
			"set "+f.cfg.Spell("ListenPort")+" in it, such as 51820; or give --endpoint HOST:PORT")
	}
	if a.endpoint != "" {
		at, err := setup.Endpoint(a.endpoint, port)
		if err != nil {
			return "", noPort(err)
		}
		return at, nil
	}
	if port == 0 {
		return "", noPort(setup.ErrNoPort)
	}
	ways, err := setup.Look()
	if err != nil {
		return "", fmt.Errorf("find the address of this host: %w", err)
	}
	addr, reach := setup.Uplink(ways.Four.Addr, ways.Six.Addr)
	switch reach {
	case setup.Nowhere:
		return "", cli.WithHint(errors.New("this host has no address that a peer could find it at"), "say where it is: --endpoint HOST")
	case setup.Private:
		err = cli.Warn(cmd, "hint: %s is a private address: peers outside find this host only if the router passes UDP port %d on to it, "+
			"and by the router's name or address: --endpoint HOST", addr, port)
	}
	return netip.AddrPortFrom(addr, port).String(), errors.Join(err, ctx.Err())
}

// add puts the client into the file, and its own file where it was asked for.
func (a *peerAdd) add(cmd *cobra.Command, f *peerFile, client *setup.Client) error {
	edit, err := f.read.AddPeer(client.Peer())
	if err != nil {
		return err
	}
	own := client.Config(f.cfg)
	text, err := confText(own)
	if err != nil {
		return err
	}
	c := change{file: f, edit: edit}
	if a.keep {
		if err := setup.Keep(f.path, a.name, own); err != nil {
			return keepHint(err, f, a.name)
		}
		c.undo = append(c.undo, func() error { return setup.Forget(f.path, a.name) })
	}
	if a.write != "" {
		if err := writeSecret(a.write, text); err != nil {
			return errors.Join(withExists(err, "choose another FILE; nothing was changed"), c.back())
		}
		c.undo = append(c.undo, func() error { return os.Remove(a.write) })
	}
	err = c.do(cmd, func(applied string) error { return a.show(cmd, f, client, text, applied) })
	if err == nil && a.public != "" {
		_ = cli.Warn(cmd, "the file for %s lacks its private key, which the peer has made: add PrivateKey there", a.name)
	}
	if err == nil && a.full && len(client.DNS) == 0 {
		_ = cli.Warn(cmd, "hint: without --dns %s asks the name servers that it has, which a full tunnel may not reach", a.name)
	}
	return err
}

// keepHint says what to do about a file that is there.
func keepHint(err error, f *peerFile, name string) error {
	if errors.Is(err, fs.ErrExist) {
		return cli.WithHint(err, "it is of a peer that is gone: rm "+config.ShellQuote(setup.KeptPath(f.path, name)), "nothing was changed")
	}
	return err
}

func withExists(err error, hint string) error {
	if errors.Is(err, fs.ErrExist) {
		return cli.WithHint(err, hint)
	}
	return err
}

// show prints what was made.
func (a *peerAdd) show(cmd *cobra.Command, f *peerFile, client *setup.Client, text, applied string) error {
	switch {
	case a.json:
		out := AddedPeer{Interface: f.name, File: f.path, Name: a.name, PublicKey: client.Public, Addresses: client.Addresses,
			Endpoint: client.Endpoint, Applied: applied, Config: text, Written: a.write}
		if a.keep {
			out.Kept = setup.KeptPath(f.path, a.name)
		}
		return cli.PrintReport(cmd, out, true, nil)
	case a.qr:
		return printQR(cmd, text)
	case a.write != "":
		return nil
	}
	return printConf(cmd, text)
}
