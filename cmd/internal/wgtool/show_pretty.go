package wgtool

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wgnode/wgnode/cmd/internal/cli"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// pretty writes the form of `show` that is meant for people.
type pretty struct {
	b        *bytes.Buffer
	now      int64 // seconds since 1970
	showKeys bool
	// Terminal sequences, all empty without colors.
	reset, bold, red, green, yellow, cyan string
}

// newPretty writes to b what will go to out, which decides with the
// environment about colors and keys.
func newPretty(b *bytes.Buffer, out io.Writer) *pretty {
	p := &pretty{b: b, now: time.Now().Unix(), showKeys: os.Getenv("WG_HIDE_KEYS") == "never"}
	colored := cli.UsesColor(out)
	switch os.Getenv("WG_COLOR_MODE") {
	case "always":
		colored = true
	case "never":
		colored = false
	}
	if colored {
		p.reset, p.bold = "\x1b[0m", "\x1b[1m"
		p.red, p.green, p.yellow, p.cyan = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
	}
	return p
}

func (p *pretty) device(name string, s *uapi.Status) {
	p.b.WriteString(p.reset)
	p.heading(p.green, "interface", name)
	if !s.PrivateKey.IsZero() {
		p.line("public key", s.PublicKey.Base64())
		p.line("private key", p.secret(s.PrivateKey.Base64()))
	}
	if s.ListenPort != 0 {
		p.line("listening port", fmt.Sprint(s.ListenPort))
	}
	if s.FwMark != 0 {
		p.line("fwmark", fwMark(s))
	}
	// The latest handshake comes first, never is last.
	peers := slices.Clone(s.Peers)
	slices.SortStableFunc(peers, func(a, b uapi.PeerStatus) int { return b.LastHandshake.Compare(a.LastHandshake) })
	for i := range peers {
		p.b.WriteByte('\n')
		p.peer(&peers[i])
	}
}

func (p *pretty) peer(peer *uapi.PeerStatus) {
	p.heading(p.yellow, "peer", peer.PublicKey.Base64())
	if !peer.PresharedKey.IsZero() {
		p.line("preshared key", p.secret(peer.PresharedKey.Base64()))
	}
	if peer.Endpoint.IsValid() {
		p.line("endpoint", endpoint(peer))
	}
	p.line("allowed ips", strings.ReplaceAll(allowedIPs(peer, ", "), "/", p.cyan+"/"+p.reset))
	if handshakeUnix(peer) != 0 {
		p.line("latest handshake", p.ago(handshakeUnix(peer)))
	}
	if peer.RxBytes != 0 || peer.TxBytes != 0 {
		p.line("transfer", p.bytes(peer.RxBytes)+" received, "+p.bytes(peer.TxBytes)+" sent")
	}
	if peer.PersistentKeepalive != 0 {
		p.line("persistent keepalive", "every "+p.duration(int64(peer.PersistentKeepalive/time.Second)))
	}
}

func (p *pretty) heading(color, kind, name string) {
	fmt.Fprintf(p.b, "%s%s%s%s: %s%s%s\n", color, p.bold, kind, p.reset, color, name, p.reset)
}

func (p *pretty) line(label, value string) {
	fmt.Fprintf(p.b, "  %s%s%s: %s\n", p.bold, label, p.reset, value)
}

func (p *pretty) secret(text string) string {
	if p.showKeys {
		return text
	}
	return "(hidden)"
}

func (p *pretty) unit(s string) string { return p.cyan + s + p.reset }

func (p *pretty) ago(at int64) string {
	switch {
	case at == p.now:
		return "Now"
	case at > p.now:
		return "(" + p.red + "System clock wound backward; connection problems may ensue." + p.reset + ")"
	}
	return p.duration(p.now-at) + " ago"
}

// duration words a positive number of seconds, leaving out units of which
// there are none. A year has 365 days.
func (p *pretty) duration(seconds int64) string {
	var parts []string
	for _, u := range []struct {
		name    string
		seconds int64
	}{
		{"year", 365 * 24 * 60 * 60}, {"day", 24 * 60 * 60}, {"hour", 60 * 60}, {"minute", 60}, {"second", 1},
	} {
		n := seconds / u.seconds
		seconds %= u.seconds
		switch {
		case n == 1:
			parts = append(parts, "1 "+p.unit(u.name))
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, p.unit(u.name+"s")))
		}
	}
	return strings.Join(parts, ", ")
}

// bytes words a number of bytes in the largest binary unit that fits, up to
// tebibytes.
func (p *pretty) bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d %s", n, p.unit("B"))
	}
	value, units := float64(n)/1024, []string{"KiB", "MiB", "GiB", "TiB"}
	for value >= 1024 && len(units) > 1 {
		value, units = value/1024, units[1:]
	}
	return fmt.Sprintf("%.2f %s", value, p.unit(units[0]))
}
