package config

import (
	"regexp"
	"strings"

	"github.com/wgnode/wgnode/probe/key"
)

// keyfilePeer is the header of a peer's section in NetworkManager's keyfile.
var keyfilePeer = regexp.MustCompile(`^\[wireguard-peer\.([A-Za-z0-9+/]{43}=)\]$`)

// PeerNames are the names that the comments of a file give to the peers of a device that
// another program has configured: a .conf of wg-quick's, a .netdev of systemd-networkd's, or a
// keyfile of NetworkManager's. Nothing else in the file matters, whatever it is. A key that
// has several names has none.
func PeerNames(text string) map[key.Public]string {
	var cfg Config
	lines := strings.Split(text, "\n")
	inPeer := false
	for i, line := range lines {
		line = trim(line)
		if rest, ok := strings.CutPrefix(line, ";"); ok { // a comment in the other two
			line = "#" + rest
		}
		lines[i] = line
		header := keyfilePeer.FindStringSubmatch(line)
		switch {
		case header != nil:
			if k, err := key.ParsePublic(header[1]); err == nil {
				cfg.Peers = append(cfg.Peers, Peer{Line: i + 1, PublicKey: k})
			}
			inPeer = false
		case strings.EqualFold(line, "[Peer]"), strings.EqualFold(line, "[WireGuardPeer]"):
			cfg.Peers = append(cfg.Peers, Peer{Line: i + 1})
			inPeer = true
		case strings.HasPrefix(line, "["):
			inPeer = false
		case inPeer:
			name, value, _ := strings.Cut(line, "=")
			if k, err := key.ParsePublic(trim(value)); err == nil && strings.EqualFold(trim(name), "PublicKey") {
				cfg.Peers[len(cfg.Peers)-1].PublicKey = k
			}
		}
	}
	nameByComments(strings.Join(lines, "\n"), &cfg)
	names, twice := make(map[key.Public]string), make(map[key.Public]bool)
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		if p.Name == "" || p.PublicKey.IsZero() {
			continue
		}
		if other, ok := names[p.PublicKey]; ok && other != p.Name {
			twice[p.PublicKey] = true
		}
		names[p.PublicKey] = p.Name
	}
	for k := range twice {
		delete(names, k)
	}
	return names
}
