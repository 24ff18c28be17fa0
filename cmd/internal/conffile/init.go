package conffile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/setup"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/schema"
)

// FirstFile is what init says of the file that it has written, and prints with --json.
type FirstFile struct {
	Schema     schema.Version `json:"schema"`
	File       string         `json:"file"`
	Interface  string         `json:"interface"`
	PublicKey  key.Public     `json:"public_key"`
	Addresses  []netip.Prefix `json:"addresses"`
	ListenPort uint16         `json:"listen_port"`
	Uplinks    []string       `json:"uplinks"`            // by which this host reaches the internet
	Firewall   string         `json:"firewall,omitempty"` // the program whose rules keep peers out
	Open       []string       `json:"open"`               // what to type so that they do not; comments begin with #
	Notes      []string       `json:"notes"`
	Next       []string       `json:"next"` // what to type then
}

func NewInitCommand() *cobra.Command {
	var json bool
	cmd := &cobra.Command{
		Use:   "init [CONF|NAME]",
		Short: "Write the first configuration of a server",
		Long: `Init writes the configuration file of a server, to which peers can be added: with a new
key, an IPv4 and an IPv6 network that this host has no route to, a free UDP port,
forwarding, and masquerading on the interface of the default route. It brings nothing
up, and does not overwrite a file.

If this host's firewall would keep peers out, it prints the command that lets them in,
for the program that manages the firewall. It also prints the next steps.

NAME means /etc/wireguard/NAME.toml, and wg0 if omitted. The name of CONF chooses the
format. A .conf has no keys for forwarding and masquerading: there hooks do it.`,
		Example: "  wgnode init && wgnode up wg0 && wgnode peer add phone wg0 --qr\n  wgnode init ./wg0.conf",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := newConfig(cmd, args)
			if err != nil {
				return err
			}
			done, err := initServer(path)
			if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
				return errors.Join(err, cli.BecomeRoot(cmd))
			}
			if err != nil {
				return withExists(err, "init writes first files only; `wgnode peer add` adds to what there is")
			}
			return cli.PrintReport(cmd, done, json, func() error { return printFirst(cmd, done) })
		},
		ValidArgsFunction: cli.CompleteFile,
	}
	cmd.Flags().BoolVar(&json, "json", false, "print one JSON object")
	return cmd
}

// newConfig is the path of the file that is to be, which must not be there, nor another
// one or an interface of that name.
func newConfig(cmd *cobra.Command, args []string) (string, error) {
	path := filepath.Join(config.Dir, "wg0.toml")
	if len(args) > 0 {
		path = args[0]
		if config.ValidName(path) && !hasFormat(path) {
			path = filepath.Join(config.Dir, path+".toml")
		}
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if !hasFormat(path) || !config.ValidName(name) {
		err := fmt.Errorf("%q is neither a name nor the path of a .toml or a .conf that is named after its interface", path)
		return "", cli.NewUsageError(cmd, err)
	}
	for _, ext := range []string{".conf", ".toml"} {
		if other := filepath.Join(filepath.Dir(path), name+ext); cli.FileExists(other) {
			return "", withExists(fmt.Errorf("make a first configuration: %s: %w", other, fs.ErrExist),
				"choose another name, such as: wgnode init wg1; init replaces nothing")
		}
	}
	if cli.FileExists("/sys/class/net/" + name) {
		return "", cli.WithHint(fmt.Errorf("this host has an interface %s already", name), "choose another name, such as: wgnode init wg1")
	}
	return filepath.Abs(path)
}

func initServer(path string) (*FirstFile, error) {
	ways, err := setup.Look()
	if err != nil {
		return nil, fmt.Errorf("find the uplink: %w", err)
	}
	var taken setup.Taken
	if err := taken.Look(filepath.Dir(path)); err != nil {
		return nil, err
	}
	server := setup.NewServer(&taken, ways.Links(), rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	text, err := server.Text(path)
	if err != nil {
		return nil, err
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := writeSecret(path, text); err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	f := peerFile{name: name, path: path}
	done := &FirstFile{File: path, Interface: name, PublicKey: server.Private.Public(), Addresses: server.Addresses, ListenPort: server.Port,
		Uplinks: ways.Links(), Open: []string{}, Notes: []string{},
		Next: []string{"wgnode up " + f.word(), "wgnode peer add phone " + f.word() + " --qr"}}
	done.reach(server, ways, f.word())
	return done, nil
}

// makeFolder makes the folder of configurations, where no WireGuard was before.
func makeFolder(folder string) error {
	if folder != config.Dir {
		return nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of configurations: %w", err)
	}
	return nil
}

// reach says what stands between the server and its peers; word is what a command line calls the file.
func (f *FirstFile) reach(server *setup.Server, ways setup.Ways, word string) {
	if len(ways.Links()) == 0 {
		f.Notes = append(f.Notes, "this host has no default route: its peers reach it and each other, and not the internet")
	}
	if len(server.Addresses) == 1 {
		f.Notes = append(f.Notes, "all private networks of IPv4 are taken by routes of this host: the tunnel has only IPv6")
	}
	wall, err := server.LookAtFirewall(f.Interface, ways)
	switch {
	case err != nil:
		f.Notes = append(f.Notes, fmt.Sprintf("whether a firewall of this host keeps peers out was not found out (%v): they come by UDP port %d",
			err, f.ListenPort))
	case wall.Unsure:
		f.Notes = append(f.Notes, fmt.Sprintf("whether this host's firewall lets all of it pass was not found out: peers come by UDP port %d",
			f.ListenPort))
	}
	if err == nil && len(wall.Lines) > 0 {
		f.Firewall, f.Open = wall.Owner, wall.Lines
	}
	if addr, reach := setup.Uplink(ways.Four.Addr, ways.Six.Addr); reach == setup.Private {
		f.Notes = append(f.Notes, fmt.Sprintf("%s is a private address: have the router pass UDP port %d on to it, and give peers the "+
			"router's name or address by --endpoint HOST", addr, f.ListenPort))
		f.Next[1] = "wgnode peer add phone " + word + " --endpoint HOST --qr"
	}
}

func printFirst(cmd *cobra.Command, f *FirstFile) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var addresses []string
	for _, a := range f.Addresses {
		addresses = append(addresses, a.String())
	}
	by := ""
	if len(f.Uplinks) > 0 {
		by = "; peers reach the internet by " + strings.Join(f.Uplinks, " and ")
	}
	line("%s: %s, UDP port %d%s", f.File, strings.Join(addresses, ", "), f.ListenPort, by)
	if len(f.Open) > 0 {
		of := ""
		if f.Firewall != "" {
			of = " (" + f.Firewall + ")"
		}
		line("\nThe firewall of this host%s keeps peers out. To let them in:", of)
		for _, l := range f.Open {
			line("  %s", l)
		}
	}
	for _, n := range f.Notes {
		line("\nNote: %s.", n)
	}
	line("\nNext:")
	for _, l := range f.Next {
		line("  %s", l)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}
