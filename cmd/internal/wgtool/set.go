package wgtool

//lint:file-ignore ST1005 the errors have wg's words, capital letters included

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/naming"
	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/probe/key"
)

const setUsage = "set <interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>]" +
	" [peer <base64 public key> [remove] [preshared-key <file path>] [endpoint <ip>:<port>]" +
	" [persistent-keepalive <interval seconds>] [allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]..."

func NewSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME [SETTING VALUE]... [peer KEY [remove] [SETTING VALUE]...]...",
		Short: "Change settings of a device and its peers, as `wg set` does",
		Long: `Changes a userspace WireGuard device while it runs, with the messages and the
exit status of wg(8)'s set. What is not named is left alone.

Settings of the device: listen-port PORT, fwmark MARK (decimal, 0x hexadecimal,
or off), private-key FILE.
Settings of a peer, after peer KEY: remove, preshared-key FILE, endpoint
HOST:PORT, persistent-keepalive SECONDS (or off), allowed-ips PREFIX,... which
replaces what the peer has, unless the prefixes have a + or - in front.
An empty FILE, such as /dev/null, removes the key.`,
		Example: "  wgnode set wg0 peer KEY allowed-ips +10.0.0.7/32 endpoint vpn.example:51820",
		// A value may begin with '-'. wg's set has no flags.
		DisableFlagParsing:    true,
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Root().Name() != "wg" && len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
				return cmd.Help()
			}
			return runSet(cmd, args)
		},
		ValidArgsFunction: completeSet,
	}
}

// completeSet offers the words that settings begin with where one may begin,
// and else what may follow the word before.
func completeSet(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeDevice(cmd, args, toComplete)
	}
	ofPeer, begins := false, true
	for i := 1; i < len(args); i++ {
		if begins = args[i] == "remove"; begins {
			continue
		}
		ofPeer = ofPeer || args[i] == "peer"
		i++ // its value
		begins = i < len(args)
	}
	if !begins {
		return completeValue(args)
	}
	words := []string{"peer"}
	if ofPeer {
		words = append(words, "remove")
	}
	for word, s := range settings {
		if word != "peer" && s.device != ofPeer {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeValue completes what follows the last of args.
func completeValue(args []string) ([]string, cobra.ShellCompDirective) {
	switch args[len(args)-1] {
	case "private-key", "preshared-key":
		return nil, cobra.ShellCompDirectiveDefault
	case "fwmark", "persistent-keepalive":
		return []string{"off"}, cobra.ShellCompDirectiveNoFileComp
	case "peer":
		status, _ := naming.GetStatus(args[0])
		if status == nil {
			break
		}
		var keys []string
		for i := range status.Peers {
			keys = append(keys, status.Peers[i].PublicKey.Base64())
		}
		return keys, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func runSet(cmd *cobra.Command, args []string) error {
	errOut := cmd.ErrOrStderr()
	if len(args) < 2 {
		return failLikeWg(errOut, "Usage: "+cmd.Root().Name()+" "+setUsage, "")
	}
	s := setter{Builder: config.NewBuilder(), errOut: errOut, removed: make(map[int]bool)}
	if err := s.words(args[1:]); err != nil {
		return failLikeWg(errOut, err.Error(), "")
	}
	cfg := s.Config()
	endpoints, err := newResolver(errOut).endpoints(cmd.Context(), cfg)
	if err != nil {
		return failLikeWg(errOut, err.Error(), "")
	}
	change := changeOf(cfg, endpoints, false)
	for i := range change.Peers {
		change.Peers[i].Remove = s.removed[i]
	}
	if errno := applyChange(naming.DeviceOf(args[0]), change); errno != 0 {
		return failLikeWg(errOut, "Unable to modify interface: "+strerror(errno), missingHint(args[0]))
	}
	return nil
}

// setter takes the words of one `set`. The errors have wg's words, but show no
// value that may be a secret.
type setter struct {
	*config.Builder
	errOut  io.Writer
	removed map[int]bool // by index into the configuration's peers
}

func (s *setter) words(words []string) error {
	for len(words) > 0 {
		word, n := words[0], len(s.Config().Peers)
		switch {
		case word == "remove" && n > 0:
			s.removed[n-1] = true
			words = words[1:]
			continue
		case len(words) < 2:
			return invalidArgument(word)
		case word == "peer":
			s.BeginPeer()
		}
		set, ok := settings[word]
		if !ok || set.device == (len(s.Config().Peers) > 0) {
			return invalidArgument(word)
		}
		if err := set.take(s, words[1]); err != nil {
			return err
		}
		words = words[2:]
	}
	return nil
}

func invalidArgument(word string) error {
	return fmt.Errorf("Invalid argument: %s", config.Redact(word))
}

// setting is one word of `set` that a value follows.
type setting struct {
	device bool // and not a peer's
	take   func(s *setter, value string) error
}

var settings = map[string]setting{
	"listen-port":          {true, (*setter).listenPort},
	"fwmark":               {true, plain("FwMark", "Fwmark is neither 0/off nor 0-0xffffffff")},
	"private-key":          {true, fromFile("PrivateKey")},
	"peer":                 {false, plain("PublicKey", errKeyFormat.Error())},
	"preshared-key":        {false, fromFile("PresharedKey")},
	"endpoint":             {false, (*setter).endpoint},
	"persistent-keepalive": {false, plain("PersistentKeepalive", "Persistent keepalive interval is neither 0/off nor 1-65535")},
	"allowed-ips":          {false, (*setter).allowedIPs},
}

// plain takes a value as a file gives it to the key.
func plain(name, complaint string) func(*setter, string) error {
	return func(s *setter, value string) error {
		if err := s.Set(name, value); err != nil {
			return about(complaint, value)
		}
		return nil
	}
}

// about is wg's form of a complaint.
func about(complaint, value string) error {
	return fmt.Errorf("%s: `%s'", complaint, config.Redact(value))
}

func (s *setter) listenPort(value string) error {
	switch {
	case value == "":
		return errors.New("Unable to parse empty port")
	case s.Set("ListenPort", value) != nil:
		return about("Servname not supported for ai_socktype", value)
	}
	return nil
}

func (s *setter) endpoint(value string) error {
	if s.Set("Endpoint", value) == nil {
		return nil
	}
	complaint := "Name or service not known"
	colon := strings.LastIndexByte(value, ':')
	switch {
	case value == "":
		return errors.New("Unable to parse empty endpoint")
	case value[0] == '[' && !strings.Contains(value, "]"):
		complaint = "Unable to find matching brace of endpoint"
	case colon < 0 || colon == len(value)-1, value[0] == '[' && value[colon-1] != ']':
		complaint = "Unable to find port of endpoint"
	case strings.Trim(value[colon+1:], "0123456789") != "", s.Set("Endpoint", "192.0.2.1"+value[colon:]) != nil:
		complaint = "Servname not supported for ai_socktype"
	}
	return about(complaint, value)
}

func (s *setter) allowedIPs(value string) error {
	value = strings.Join(strings.Fields(value), "")
	if s.Set("AllowedIPs", value) != nil {
		return s.badPrefix(value)
	}
	for item := range strings.SplitSeq(value, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimLeft(item, "+-"))
		if err == nil && prefix != prefix.Masked() {
			// It is masked and set all the same.
			_, _ = fmt.Fprintln(s.errOut, "Warning: AllowedIP has nonzero host part:", prefix)
		}
	}
	return nil
}

// badPrefix words what is wrong with the first of the prefixes that is.
func (s *setter) badPrefix(value string) error {
	for item := range strings.SplitSeq(value, ",") {
		if item != "" && s.Set("AllowedIPs", item) == nil {
			continue
		}
		address, _, _ := strings.Cut(item, "/")
		if strings.HasPrefix(address, "+") || strings.HasPrefix(address, "-") {
			address = address[1:]
		}
		if addr, err := netip.ParseAddr(address); err != nil || addr.Zone() != "" || addr.Is4In6() {
			return about("Unable to parse IP address", address)
		}
		return about("AllowedIP is not in the correct format", item)
	}
	return about("AllowedIP is not in the correct format", value)
}

// fromFile takes the path of a file that holds a key, or nothing for none.
func fromFile(name string) func(*setter, string) error {
	return func(s *setter, path string) error {
		text, err := readKeyFile(path)
		if err != nil {
			return err
		}
		if text == "" {
			text = key.Private{}.Base64()
		}
		if s.Set(name, text) != nil {
			return about(errKeyFormat.Error(), "(hidden)")
		}
		return nil
	}
}

// readKeyFile returns the 44 characters that are a key in base64. White space
// may follow them.
func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fopenError(err)
	}
	defer f.Close() // nothing was written: its error says nothing
	const length, most = 44, 4096
	text, err := io.ReadAll(io.LimitReader(f, most))
	switch {
	case err == nil && len(text) == 0:
		return "", nil
	case err != nil || len(text) < length:
		return "", errors.New("Invalid length key in key file")
	case strings.Trim(string(text[length:]), " \t\n\v\f\r") != "":
		// wg shows the character, which may be one of a key.
		return "", about("Found trailing character in key file", "(hidden)")
	}
	return string(text[:length]), nil
}

// fopenError words the failure to open a file as wg does.
func fopenError(err error) error {
	var failed *fs.PathError
	var errno syscall.Errno
	if errors.As(err, &failed) && errors.As(err, &errno) {
		return errors.New("fopen: " + strerror(errno))
	}
	return err
}
