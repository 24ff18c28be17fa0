package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wgnode/wgnode/probe/key"
)

// wireproxyInterface is the beginning of the sample in wireproxy's README.
const wireproxyInterface = `# The [Interface] and [Peer] configurations follow the same semantics and meaning
# of a wg-quick configuration.
[Interface]
Address = 10.200.200.2/32 # The subnet should be /32 and /128 for IPv4 and v6 respectively
# MTU = 1420 (optional)
PrivateKey = uCTIK+56CPyCvwJxmU5dBfuyJvPuSXAq1FzHdnIxe1Q=
DNS = 10.200.200.1

[Peer]
PublicKey = QP+A67Z2UBrMgvNIdHv8gPel5URWNLS4B3ZQ2hQIZlg=
# PresharedKey = UItQuvLsyh50ucXHfjF0bbR4IIpVBd74lwKc8uIPXXs= (optional)
Endpoint = my.ddns.example.com:51820
# PersistentKeepalive = 25 (optional)
`

const wireproxyServices = `
[TCPClientTunnel]
BindAddress = 127.0.0.1:25565
Target = play.cubecraft.net:25565

[TCPServerTunnel]
ListenPort = 3422
Target = localhost:25545

[STDIOTunnel]
Target = ssh.myserver.net:22

# Socks5 creates a socks5 proxy on your LAN, and all traffic would be routed via wireguard.
[Socks5]
BindAddress = 127.0.0.1:25344

[http]
BindAddress = :25345
Username = "peter" ; not a secret
Password = $WIREPROXY_PASSWORD

[UDPProxyTunnel]
BindAddress = 127.0.0.1:53
Target = 1.1.1.1:53
InactivityTimeout = 30 # If its set to 0, it will never timeout

[Resolve]
ResolveStrategy = ipv4
`

func TestWireproxy(t *testing.T) {
	t.Setenv("WIREPROXY_PASSWORD", "$Xq9#Zw1")
	want := Services{
		SOCKS5: []Proxy{{Listen: "127.0.0.1:25344"}},
		HTTP:   []Proxy{{Listen: "[::]:25345", User: "peter", Password: "$Xq9#Zw1"}},
		Forwards: []Forward{{Protocol: "tcp", Listen: "127.0.0.1:25565", To: "play.cubecraft.net:25565"},
			{Protocol: "udp", Listen: "127.0.0.1:53", To: "1.1.1.1:53", IdleTime: 30 * time.Second}},
		RemoteForwards: []Forward{{Protocol: "tcp", Listen: ":3422", To: "localhost:25545"}},
		Stdio:          "ssh.myserver.net:22", PreferIPv4: true,
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("inner.conf", wireproxyInterface)
	for name, text := range map[string]string{
		"whole.conf":  wireproxyInterface + wireproxyServices,
		"import.conf": "WGConfig = inner.conf\n" + wireproxyServices,
	} {
		c, err := Load(write(name, text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, c.Services, same); diff != "" {
			t.Errorf("%s: want -, got +\n%s", name, diff)
		}
		private, _ := key.ParsePrivate("uCTIK+56CPyCvwJxmU5dBfuyJvPuSXAq1FzHdnIxe1Q=")
		if !c.ForStack || c.Interface.PrivateKey != private ||
			fmt.Sprint(c.Interface.Addresses, c.Interface.DNS) != "[10.200.200.2/32] [10.200.200.1]" {
			t.Errorf("%s: %+v", name, c)
		}
		if got := fmt.Sprint(c.Peers[0].Endpoint, c.Peers[0].AllowedIPs); len(c.Peers) != 1 ||
			got != "my.ddns.example.com:51820[0.0.0.0/0 ::/0]" {
			t.Errorf("%s: peer %s", name, got)
		}
		if leak(fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Warnings()), "$Xq9#Zw1") != "" {
			t.Errorf("%s: shows the password", name)
		}
		// What it says, a .toml says too, but for what belongs to a process.
		c.Inline()
		c.Services.Stdio = ""
		again := mustParseTOML(t, written(t, c.WriteTOML))
		again.Path, again.ForStack = c.Path, true
		if diff := cmp.Diff(c, again, same); diff != "" {
			t.Errorf("%s: as TOML: was -, is +\n%s", name, diff)
		}
	}
}

// The README's sample with several peers.
func TestWireproxyPeers(t *testing.T) {
	t.Setenv("MY_KEY", "uCTIK+56CPyCvwJxmU5dBfuyJvPuSXAq1FzHdnIxe1Q=")
	c := mustParse(t, `
[interface]
address = 100.96.0.190,2606:B300:FFFF:fe8a:2ac6:c7e8:b021:6f5f/128
privatekey = $MY_KEY
CheckAlive = 1.1.1.1, 3.3.3.3
ListenPort = 5400

[Peer] # Name = one
# Name = two
Endpoint = 192.168.0.204:51820
PublicKey = `+pubA+`
AllowedIPs = 10.254.254.100/32
PersistentKeepalive = 25

[Peer]
PublicKey = `+pubB+`
AllowedIPs = 10.254.254.1/32, fdee:1337:c000:d00d::1/128

[TCPServerTunnel]
ListenPort = 5000
Target = service-one.servicenet:5000

[TCPServerTunnel]
ListenPort = 5001
Target = service-two.servicenet:5001

[Socks5]
BindAddress = 127.0.0.1:1
[socks5]
bindaddress = 127.0.0.1:2
Username = a
Password = $$b
`)
	if c.Peers[0].Name != "two" || c.Peers[1].AllowedIPs[1] != netip.MustParsePrefix("fdee:1337:c000:d00d::1/128") ||
		c.Interface.PrivateKey.IsZero() ||
		len(c.Services.RemoteForwards) != 2 || len(c.Services.SOCKS5) != 2 || c.Services.SOCKS5[1].Password != "$b" {
		t.Errorf("%+v", c)
	}
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "CheckAlive: is ignored") {
		t.Errorf("warns: %q", w)
	}
	if again := mustParseTOML(t, written(t, c.WriteTOML)); len(again.Services.SOCKS5) != 2 {
		t.Errorf("two proxies came back as %v", again.Services.SOCKS5)
	}
}

func TestWireproxyFaults(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[Socks5]\n", "/etc/wireguard/wg0.conf:1: BindAddress: missing in this [Socks5]"},
		{"[Socks5]\nBindAddress = nowhere\n", `:2: BindAddress: "nowhere" is neither ADDRESS:PORT`},
		{"[Socks5]\nBindAddress = 127.0.0.1:1\nTunnelDomains = x\n",
			`:3: unknown key "TunnelDomains" in [Socks5]: there are BindAddress, Username, Password`},
		{"[http]\nBindAddress = 127.0.0.1:1\nPassword = $hunter2\n",
			":3: Password: begins with a dollar, but names no variable: write $$ for a dollar"},
		{"[http]\nBindAddress = $NO_SUCH_VARIABLE_HERE\n", ":2: BindAddress: the environment has no $NO_SUCH_VARIABLE_HERE"},
		{"[TCPServerTunnel]\nListenPort = 0\nTarget = a:1\n", `:2: ListenPort: "0" is not a port`},
		{"[TCPClientTunnel]\nBindAddress = 127.0.0.1:1\nTarget = a\n", `:3: Target: "a" is not HOST:PORT`},
		{"[STDIOTunnel]\nTarget = a:1\n[STDIOTunnel]\nTarget = a:1\n", `:4: Target: there is one standard input`},
		{"[Resolve]\nResolveStrategy = both\n", `:2: ResolveStrategy: "both" is none of auto, ipv4, ipv6`},
		{"WGConfig = x\n[Interface]\nListenPort = 1\n", ":1: WGConfig: names the file of [Interface] and [Peer], which are here as well"},
		{"[Socks5]\nBindAddress = 127.0.0.1:1\n[SNI]\n", `:3: unknown section "[SNI]"`},
	} {
		_, err := Parse(strings.NewReader(test.text), "/etc/wireguard/wg0.conf")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.text, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

// A proxy that everybody reaches and nobody needs to know a password for is
// perhaps not meant.
func TestOpenProxies(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[socks5]\nlisten = 1080\n", ""},
		{"[socks5]\nlisten = \"[::1]:1080\"\n", ""},
		{"[socks5]\nlisten = \"localhost:1080\"\n", ""},
		{"[socks5]\nlisten = \"0.0.0.0:1080\"\n",
			"the SOCKS5 proxy at 0.0.0.0:1080 is open to everybody who reaches this host, without a password"},
		{"[socks5]\nlisten = \"0.0.0.0:1080\"\nuser = \"a\"\npassword_file = \"b\"\n", ""},
		{"[http_proxy]\nlisten = \"[::]:1080\"\n", "the HTTP proxy at [::]:1080 is open"},
		{"[dns]\nlisten = \"192.0.2.1:53\"\n", "the DNS forwarder at 192.0.2.1:53 is open"},
		{"[[forward]]\nprotocol = \"tcp\"\nlisten = \"0.0.0.0:80\"\nto = \"a:80\"\n", ""}, // one place, and meant
	} {
		ws := strings.Join(mustParseTOML(t, "[interface]\n"+test.text).Warnings(), "\n")
		if test.want == "" && ws != "" || !strings.Contains(ws, test.want) {
			t.Errorf("%q: warns %q, want %q", test.text, ws, test.want)
		}
	}
}

func TestServiceFaults(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[socks5]\n", ":2: listen: missing in this [socks5]"},
		{"[socks5]\nlisten = \":1080\"\n", `":1080" has no address: 127.0.0.1 is for this host alone`},
		{"[socks5]\nlisten = \"vpn.example:1080\"\n", `"vpn.example" is not an address of this node`},
		{"[socks5]\nlisten = 1080\nuser = \"a\"\n", "user: needs a password, and a password needs a user"},
		{"[socks5]\nlisten = 1080\nuser = \"\"\npassword = \"\"\n", "user: is empty: leave it out"},
		{"[http_proxy]\nlisten = 1080\nuser = \"a:b\"\npassword = \"c\"\n", "user: contains a colon, which HTTP does not allow in a user name"},
		{"[socks5]\nlisten = 1080\nuser = \"a\"\npassword = \"b\"\npassword_file = \"c\"\n", "password_file: line 5 has password already"},
		{"[socks5]\nlisten = 1080\n[http_proxy]\nlisten = \"127.0.0.1:1080\"\n", "listen: something else listens at 127.0.0.1:1080 already"},
		{"[forward]\n", "write [[forward]], in two brackets"},
		{"[[forward]]\nprotocol = \"sctp\"\nlisten = 1\nto = \"a:1\"\n", `protocol: "sctp" is neither tcp nor udp`},
		{"[[forward]]\nprotocol = \"tcp\"\nlisten = 1\nto = \"a:1\"\nidle_timeout = 5\n", "idle_timeout: is for udp"},
		{"[[remote_forward]]\nprotocol = \"tcp\"\nlisten = 1\nto = \"a\"\n", `to: "a" is not HOST:PORT`},
		{"[[remote_forward]]\nprotocol = \"tcp\"\nlisten = 1\nto = \"a:1\"\n[[remote_forward]]\nprotocol = \"tcp\"\n" +
			"listen = 1\nto = \"b:1\"\n", "line 2 listens at :1 already"},
		{"[dns]\nprefer = \"ipv5\"\n", `prefer: "ipv5" is neither ipv4 nor ipv6`},
	} {
		_, err := ParseTOML(strings.NewReader("[interface]\n"+test.text), "wg0.toml")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.text, err, test.want)
		}
	}
	for _, test := range []struct {
		text   string
		remote bool
		want   string
	}{
		{"8080=intranet:80", false, "tcp:127.0.0.1:8080=intranet:80"},
		{"udp:[::1]:53=10.0.0.2:53", false, "udp:[::1]:53=10.0.0.2:53"},
		{"tcp:22=localhost:22", true, "tcp::22=localhost:22"},
		{"127.0.0.1:0080=a:0090", false, "tcp:127.0.0.1:80=a:90"},
		{"8080", false, `"8080" is not [tcp:|udp:]LISTEN=HOST:PORT`},
		{"x=a:1", false, `"x" is neither ADDRESS:PORT, an IPv6 address in brackets, nor a port`},
		{"tcp:udp:53=a:1", false, `"udp" is not an address of this node`},
		{"53=a", false, `"a" is not HOST:PORT, an IPv6 address in brackets`},
		{"53=a:0", false, `"a:0": "0" is not a port: want 1 to 65535`},
		{"53=a\x1b[2J:1", false, `"a\x1b[2J:1" is not HOST:PORT, an IPv6 address in brackets`},
		{"53=a\x1b:1", false, `"a\x1b:1": the host is not a name`},
	} {
		f, err := ParseForward(test.text, test.remote)
		got := f.String()
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.text, got, test.want)
		}
	}
}
