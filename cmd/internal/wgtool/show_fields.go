package wgtool

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wgnode/wgnode/tunnel/uapi"
)

// field is one script-friendly form of `show`: lines of tab-separated values.
type field struct {
	name string
	// print writes the field of a device. lead begins every line: empty, or the
	// interface and a tab.
	print func(b *bytes.Buffer, lead string, s *uapi.Status)
}

// fields are in the order in which wg's usage names them.
var fields = []field{
	{"public-key", ofDevice(publicKey)},
	{"private-key", ofDevice(privateKey)},
	{"listen-port", ofDevice(func(s *uapi.Status) string { return fmt.Sprint(s.ListenPort) })},
	{"fwmark", ofDevice(fwMark)},
	{"peers", ofPeers(func(p *uapi.PeerStatus) string { return p.PublicKey.Base64() })},
	{"preshared-keys", ofPeers(withKey(presharedKey))},
	{"endpoints", ofPeers(withKey(endpoint))},
	{"allowed-ips", ofPeers(withKey(func(p *uapi.PeerStatus) string { return allowedIPs(p, " ") }))},
	{"latest-handshakes", ofPeers(withKey(latestHandshake))},
	{"transfer", ofPeers(withKey(transfer))},
	{"persistent-keepalive", ofPeers(withKey(keepalive))},
	{"dump", dump},
}

func findField(name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func ofDevice(value func(*uapi.Status) string) func(*bytes.Buffer, string, *uapi.Status) {
	return func(b *bytes.Buffer, lead string, s *uapi.Status) {
		fmt.Fprintf(b, "%s%s\n", lead, value(s))
	}
}

func ofPeers(values func(*uapi.PeerStatus) string) func(*bytes.Buffer, string, *uapi.Status) {
	return func(b *bytes.Buffer, lead string, s *uapi.Status) {
		for i := range s.Peers {
			fmt.Fprintf(b, "%s%s\n", lead, values(&s.Peers[i]))
		}
	}
}

func withKey(value func(*uapi.PeerStatus) string) func(*uapi.PeerStatus) string {
	return func(p *uapi.PeerStatus) string { return p.PublicKey.Base64() + "\t" + value(p) }
}

func dump(b *bytes.Buffer, lead string, s *uapi.Status) {
	fmt.Fprintf(b, "%s%s\t%s\t%d\t%s\n", lead, privateKey(s), publicKey(s), s.ListenPort, fwMark(s))
	ofPeers(func(p *uapi.PeerStatus) string {
		return strings.Join([]string{
			p.PublicKey.Base64(), presharedKey(p), endpoint(p), allowedIPs(p, ","),
			latestHandshake(p), transfer(p), keepalive(p),
		}, "\t")
	})(b, lead, s)
}

// none stands for what is not set.
const none = "(none)"

func publicKey(s *uapi.Status) string {
	if s.PublicKey.IsZero() {
		return none
	}
	return s.PublicKey.Base64()
}

func privateKey(s *uapi.Status) string {
	if s.PrivateKey.IsZero() {
		return none
	}
	return s.PrivateKey.Base64()
}

func fwMark(s *uapi.Status) string {
	if s.FwMark == 0 {
		return "off"
	}
	return fmt.Sprintf("0x%x", s.FwMark)
}

func presharedKey(p *uapi.PeerStatus) string {
	if p.PresharedKey.IsZero() {
		return none
	}
	return p.PresharedKey.Base64()
}

func endpoint(p *uapi.PeerStatus) string {
	switch {
	case !p.Endpoint.IsValid():
		return none
	case p.Endpoint.Addr().Is4():
		return p.Endpoint.String()
	}
	return fmt.Sprintf("[%s]:%d", ipText(p.Endpoint.Addr()), p.Endpoint.Port())
}

func allowedIPs(p *uapi.PeerStatus, separator string) string {
	if len(p.AllowedIPs) == 0 {
		return none
	}
	texts := make([]string, len(p.AllowedIPs))
	for i, prefix := range p.AllowedIPs {
		texts[i] = fmt.Sprintf("%s/%d", ipText(prefix.Addr()), prefix.Bits())
	}
	return strings.Join(texts, separator)
}

func latestHandshake(p *uapi.PeerStatus) string { return fmt.Sprint(handshakeUnix(p)) }

// handshakeUnix is in seconds since 1970, 0 for never.
func handshakeUnix(p *uapi.PeerStatus) int64 {
	if p.LastHandshake.IsZero() {
		return 0
	}
	return p.LastHandshake.Unix()
}

func transfer(p *uapi.PeerStatus) string { return fmt.Sprintf("%d\t%d", p.RxBytes, p.TxBytes) }

func keepalive(p *uapi.PeerStatus) string {
	if p.PersistentKeepalive == 0 {
		return "off"
	}
	return fmt.Sprint(int64(p.PersistentKeepalive / time.Second))
}

// ipText writes an address as inet_ntop(3) does. netip differs in one case:
// the IPv4-compatible addresses of RFC 4291 section 2.5.5.1, ::192.0.2.1.
func ipText(a netip.Addr) string {
	b := a.As16()
	if a.Is6() && [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0) {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return a.String()
}
