package naming

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/node/control"
	"github.com/wgnode/wgnode/node/lookup"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
)

// NodeAndTarget reads the arguments of a command that follows a flow: a destination, and
// perhaps a node, in either order.
func NodeAndTarget(cmd *cobra.Command, args []string) (name string, target netip.AddrPort, err error) {
	nodes, dest := inOrder(args)
	target, literal := LiteralTarget(dest)
	if !literal && len(nodes) == 0 && IsTunnel(dest) {
		// A tunnel's name is not looked up as that of a host: what is missing is the
		// destination, and the name would be asked for on the network.
		return "", target, cli.NewUsageError(cmd, fmt.Errorf("missing DEST: %s is the tunnel", dest))
	}
	name, nodeErr := NodeName(cmd, nodes)
	if !literal && nodeErr == nil {
		target, literal, err = PeerTarget(cmd.Context(), name, dest)
	}
	if !literal && err == nil {
		target, err = ParseTarget(cmd.Context(), dest)
	}
	if err != nil {
		return "", target, cli.NewUsageError(cmd, err)
	}
	return name, target, nodeErr
}

// inOrder takes [CONF|NAME] DEST apart. They stand the other way round if the second is no
// destination but a tunnel, or the first can be nothing but a destination.
func inOrder(args []string) (nodes []string, dest string) {
	nodes, dest = args[:len(args)-1], args[len(args)-1]
	if len(nodes) == 0 {
		return nodes, dest
	}
	_, first := LiteralTarget(nodes[0])
	_, last := LiteralTarget(dest)
	if !last && (first || IsTunnel(dest) && !IsTunnel(nodes[0])) {
		return []string{dest}, nodes[0]
	}
	return nodes, dest
}

// IsTunnel reports whether a word names an interface that is there.
func IsTunnel(word string) bool {
	name, err := InterfaceOf(word)
	return err == nil && Present(name)
}

// PeerTarget is the destination that a peer's name stands for, with or without a port: the
// first address in its AllowedIPs that is the peer's alone. It reports whether there is a peer
// of that name.
func PeerTarget(ctx context.Context, name, s string) (target netip.AddrPort, found bool, err error) {
	host, port, err := splitTarget(s)
	if err != nil {
		return target, false, err
	}
	peers, err := PeersOf(ctx, name)
	if err != nil {
		return target, false, nil // who asks next says why
	}
	i := slices.IndexFunc(peers, func(p control.PeerName) bool { return p.Name == host || p.PublicKey.Base64() == host })
	if i < 0 {
		return target, false, nil
	}
	status, err := deviceStatus(name)
	if err != nil {
		return target, true, fmt.Errorf("look up the addresses of the peer %s: %w", host, err)
	}
	var allowed []netip.Prefix
	if p := status.Peer(peers[i].PublicKey); p != nil {
		allowed = p.AllowedIPs
	}
	target, err = ownTarget(host, allowed, port)
	return target, true, err
}

// ownTarget is the first address in a peer's AllowedIPs that is the peer's alone.
func ownTarget(peer string, allowed []netip.Prefix, port uint16) (netip.AddrPort, error) {
	for _, prefix := range allowed {
		if prefix.IsSingleIP() {
			return netip.AddrPortFrom(prefix.Addr(), port), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("the peer %s has no address of its own in its AllowedIPs%s: give an address", peer,
		networksText(allowed))
}

// networksText says which networks a peer has instead.
func networksText(allowed []netip.Prefix) string {
	if len(allowed) == 0 {
		return ""
	}
	var networks []string
	for _, n := range allowed[:min(len(allowed), 3)] {
		networks = append(networks, n.String())
	}
	return ", only networks (" + strings.Join(networks, ", ") + ")"
}

// RecordedTarget is PeerTarget for the peers of a recording. What is in it is looked at before
// anybody is asked for a name.
func RecordedTarget(path, s string) (target netip.AddrPort, found bool, err error) {
	host, port, err := splitTarget(s)
	if err != nil {
		return target, false, err
	}
	f, err := recording.Open(path)
	if errors.Is(err, recording.ErrNotInBundle) {
		return target, false, nil // the bundle may have an explanation
	}
	if err != nil {
		return target, false, err
	}
	defer f.Close()
	for {
		peers := f.Meta().Peers
		i := slices.IndexFunc(peers, func(p recording.Peer) bool { return p.Name == host || p.PublicKey.Base64() == host })
		if i >= 0 {
			target, err = ownTarget(host, peers[i].AllowedIPs, port)
			return target, true, err
		}
		for known := len(peers); len(f.Meta().Peers) == known; { // peers may come later than its beginning
			if _, err := f.Next(); err != nil {
				return target, false, nil // the recording has ended, or who explains it says why not
			}
		}
	}
}

// LiteralTarget reads ADDRESS, ADDRESS:PORT or [ADDRESS6]:PORT.
func LiteralTarget(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a, 0), true
	}
	ap, err := netip.ParseAddrPort(s)
	return ap, err == nil
}

// CutUDP takes the protocol off the destination among args: DEST:PORT/udp. A file's path may
// end so, too, but has no port.
func CutUDP(args []string) (words []string, udp bool, err error) {
	words = slices.Clone(args)
	for i, word := range words {
		dest, cut := strings.CutSuffix(word, "/udp")
		if !cut {
			continue
		}
		target, literal := LiteralTarget(dest)
		if literal && target.Port() == 0 {
			return nil, false, fmt.Errorf("destination %q: UDP needs a port: want ADDRESS:PORT/udp", word)
		}
		if _, port, err := splitTarget(dest); err == nil && port != 0 {
			words[i], udp = dest, true
		}
	}
	return words, udp, nil
}

// ReadPayload reads what a datagram is to have in it: text, or bytes as hex:0A0B.
func ReadPayload(s string) ([]byte, error) {
	digits, isHex := strings.CutPrefix(s, "hex:")
	if !isHex {
		return []byte(s), nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("--payload %s: want pairs of hexadecimal digits", s)
	}
	return b, nil
}

// splitTarget reads HOST or HOST:PORT; the port is 0 without one.
func splitTarget(s string) (host string, port uint16, err error) {
	host, text := s, "0"
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, text = h, p
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("destination %q: want ADDRESS or ADDRESS:PORT", s)
	}
	return host, uint16(n), nil
}

// ParseTarget reads ADDRESS, ADDRESS:PORT, [ADDRESS6]:PORT, or the same with a
// host name, which this host's resolver is asked for.
func ParseTarget(ctx context.Context, s string) (netip.AddrPort, error) {
	if target, ok := LiteralTarget(s); ok {
		return target, nil
	}
	host, port, err := splitTarget(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := lookup.System(ctx, host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot resolve destination %q: %w", s, err)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), port), nil
}

// CompleteExplain offers running nodes, and then the peers that have a name, and the hosts
// that have a prefix of their own in the AllowedIPs: these are addresses, as a rule the peers'.
func CompleteExplain(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return CompleteNodes(cmd, args, toComplete)
	}
	hosts := slices.DeleteFunc(PeerNames(cmd, DeviceOf(args[0])), func(word string) bool {
		_, err := key.ParsePublic(word)
		return err == nil // without a name it goes by its key
	})
	if status, _ := deviceStatus(DeviceOf(args[0])); status != nil {
		for i := range status.Peers {
			for _, p := range status.Peers[i].AllowedIPs {
				if p.IsSingleIP() {
					hosts = append(hosts, p.Addr().String())
				}
			}
		}
	}
	return hosts, cobra.ShellCompDirectiveNoFileComp
}
