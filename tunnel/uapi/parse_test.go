package uapi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/key"
)

// Every parsed thing is a comparable array or a netip value, whose unexported
// parts go-cmp must not walk.
var comparable = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// secret is a recognisable key: in no error may its digits appear.
const secret = "e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba52027a"

// documented is the example of https://www.wireguard.com/xplatform/, whose
// addresses were made valid.
const documented = `private_key=` + secret + `
listen_port=12912
fwmark=51820
public_key=b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33
preshared_key=188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52
allowed_ip=192.168.4.4/32
endpoint=[abcd:23::33%eth2]:51820
public_key=58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376
tx_bytes=38333
rx_bytes=2224
allowed_ip=192.168.4.6/32
allowed_ip=fd00:1::/64
persistent_keepalive_interval=111
endpoint=182.122.22.19:3233
last_handshake_time_nsec=5
last_handshake_time_sec=1700000000
protocol_version=1
a_key_of_the_future=anything
`

func TestParseStatus(t *testing.T) {
	var private key.Private
	unhex(t, private[:], secret)
	var first, second key.Public
	unhex(t, first[:], "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33")
	unhex(t, second[:], "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376")
	var preshared key.Preshared
	unhex(t, preshared[:], "188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52")
	want := &Status{
		PrivateKey: private,
		PublicKey:  private.Public(),
		ListenPort: 12912,
		FwMark:     51820,
		Peers: []PeerStatus{{
			PublicKey:    first,
			PresharedKey: preshared,
			Endpoint:     netip.MustParseAddrPort("[abcd:23::33%eth2]:51820"),
			AllowedIPs:   []netip.Prefix{netip.MustParsePrefix("192.168.4.4/32")},
		}, {
			PublicKey:           second,
			Endpoint:            netip.MustParseAddrPort("182.122.22.19:3233"),
			LastHandshake:       time.Unix(1700000000, 5),
			RxBytes:             2224,
			TxBytes:             38333,
			PersistentKeepalive: 111 * time.Second,
			AllowedIPs: []netip.Prefix{
				netip.MustParsePrefix("192.168.4.6/32"), netip.MustParsePrefix("fd00:1::/64"),
			},
		}},
	}
	for name, text := range map[string]string{
		"from a socket":      documented + "errno=0\n\nleft alone",
		"from IpcGet":        documented,
		"no newline at last": strings.TrimSuffix(documented, "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseStatus(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, comparable); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if got.Peer(second) != &got.Peers[1] || got.Peer(key.Public{}) != nil {
				t.Error("Peer does not find the second peer, or finds one that is not there")
			}
		})
	}
}

func TestParseStatusOfNewDevice(t *testing.T) {
	got, err := ParseStatus(strings.NewReader("errno=0\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Status{}, got, comparable); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestParseStatusErrors(t *testing.T) {
	const peer = "public_key=" + secret + "\n"
	for text, want := range map[string]string{
		"private_key=" + secret + "00":               "line 1, private_key: not a key: want 64 hexadecimal digits",
		"private_key=x" + secret[1:]:                 "line 1, private_key: not a key: want 64 hexadecimal digits",
		"listen_port=65536":                          "line 1, listen_port: not a number in range",
		"fwmark=-1":                                  "line 1, fwmark: not a number in range",
		"fwmark=0x10":                                "line 1, fwmark: not a number in range",
		"rx_bytes=1":                                 "line 1, rx_bytes: before any public_key",
		peer + "private_key=" + secret:               "line 2, private_key: belongs to the device, but a peer has begun",
		peer + "allowed_ip=10.0.0.0":                 "line 2, allowed_ip: not an address with a prefix length",
		peer + "allowed_ip=10.0.0.0/33":              "line 2, allowed_ip: not an address with a prefix length",
		peer + "endpoint=example.com:1":              "line 2, endpoint: not an IP address and port",
		peer + "last_handshake_time_nsec=1000000000": "line 2, last_handshake_time_nsec: not a number in range",
		peer + "rx_bytes=18446744073709551616":       "line 2, rx_bytes: not a number in range",
		peer + "persistent_keepalive_interval=65536": "line 2, persistent_keepalive_interval: not a number in range",
		"listen_port":                                "line 1: no '='",
		strings.Repeat("x", 1<<20):                   "line 1: line too long",
		"errno=-22":                                  "invalid argument",
		"errno=":                                     "errno is not a number",
	} {
		s, err := ParseStatus(strings.NewReader(text + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %q", text, err, want)
		}
		if s != nil {
			t.Errorf("%.60s: half a status beside an error", text)
		}
		if err != nil && strings.Contains(err.Error(), secret[1:20]) {
			t.Errorf("%.60s: the error shows a key: %v", text, err)
		}
	}
}

// The number is that of this system and processor.
func TestParseStatusErrno(t *testing.T) {
	_, err := ParseStatus(strings.NewReader(fmt.Sprintf("errno=%d\n\n", int(syscall.EADDRINUSE))))
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v is not EADDRINUSE", err)
	}
}

// A status that was read says the same when it is written and read again.
func FuzzParseStatus(f *testing.F) {
	f.Add(documented)
	f.Add(documented + "errno=0\n\n")
	f.Add("errno=-5\n\n")
	f.Add("public_key=" + secret + "\nendpoint=[::ffff:1.2.3.4]:0\nallowed_ip=::/0")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStatus(strings.NewReader(text))
		if (s == nil) == (err == nil) {
			t.Fatalf("status %v and error %v", s, err)
		}
		if err != nil {
			return
		}
		again, err := ParseStatus(strings.NewReader(lines(s)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, again, comparable); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}

// lines writes s as a device would.
func lines(s *Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "private_key=%s\nlisten_port=%d\nfwmark=%d\n", s.PrivateKey.Hex(), s.ListenPort, s.FwMark)
	for _, p := range s.Peers {
		fmt.Fprintf(&b, "public_key=%s\npreshared_key=%s\n", p.PublicKey.Hex(), p.PresharedKey.Hex())
		if p.Endpoint.IsValid() {
			fmt.Fprintf(&b, "endpoint=%s\n", p.Endpoint)
		}
		if !p.LastHandshake.IsZero() {
			fmt.Fprintf(&b, "last_handshake_time_sec=%d\nlast_handshake_time_nsec=%d\n",
				p.LastHandshake.Unix(), p.LastHandshake.Nanosecond())
		}
		fmt.Fprintf(&b, "rx_bytes=%d\ntx_bytes=%d\npersistent_keepalive_interval=%d\n",
			p.RxBytes, p.TxBytes, p.PersistentKeepalive/time.Second)
		for _, a := range p.AllowedIPs {
			fmt.Fprintf(&b, "allowed_ip=%s\n", a)
		}
	}
	return b.String()
}

func unhex(t *testing.T, to []byte, digits string) {
	t.Helper()
	if n, err := hex.Decode(to, []byte(digits)); err != nil || n != len(to) {
		t.Fatalf("decode %s: %d bytes, %v", digits, n, err)
	}
}
