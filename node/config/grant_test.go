package config

import (
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What follows allows something to somebody, so that each must mean one thing: the
// text of what was read is read as the same again.

func FuzzParsePeerRoute(f *testing.F) {
	for _, seed := range []string{"tcp:10.98.0.1:443-443", "udp:[fd00::/8]:1-65535", "192.168.7.7/16", "[::]:53",
		"10.0.0.0/8:0-443", "tcp:udp:1.1.1.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParsePeerRoute(text)
		if err != nil {
			if r != (PeerRoute{}) {
				t.Errorf("%q is refused, and yields %v", text, r)
			}
			return
		}
		if again, err := ParsePeerRoute(r.String()); err != nil || again != r {
			t.Errorf("%q became %+v, and %q became %+v, %v", text, r, r, again, err)
		}
		if (r.First == 0) != (r.Last == 0) || r.First > r.Last || !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() {
			t.Errorf("%q allows %+v", text, r)
		}
		// All ports are for who named none.
		if r.First == 0 && strings.Contains(text, "]:") || r.First == 0 && r.Prefix.Addr().Is4() &&
			strings.Contains(strings.TrimPrefix(text, r.Protocol+":"), ":") {
			t.Errorf("%q allows all ports", text)
		}
	})
}

func FuzzParseListen(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:9586", "[::1]:1", "unix:/run/../run/x", "[::ffff:127.0.0.1]:80", "[::1%x]:80",
		"unix:/a\n", "unix://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseListen(text)
		if err != nil {
			if !l.IsZero() {
				t.Errorf("%q is refused, and yields %v", text, l)
			}
			return
		}
		if again, err := ParseListen(l.String()); err != nil || again != l {
			t.Errorf("%q became %v, and that %v, %v", text, l, again, err)
		}
		if l.Network == "tcp" && !netip.MustParseAddrPort(l.Address).Addr().Unmap().IsLoopback() {
			t.Errorf("%q listens for others at %v", text, l)
		}
	})
}

func FuzzParseServiceListen(f *testing.F) {
	for _, seed := range []string{"1080", "00080", "localhost:1", "[::]:53", "[fe80::1%eth0]:1", ":80", "0.0.0.0:0", "127.0.0.1:+1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseServiceListen(text)
		if err != nil {
			return
		}
		if again, err := ParseServiceListen(l); err != nil || again != l {
			t.Errorf("%q became %q, and that %q, %v", text, l, again, err)
		}
		// A port alone is for this host alone.
		if host, _, err := net.SplitHostPort(l); err != nil || !strings.Contains(text, ":") && host != "127.0.0.1" {
			t.Errorf("%q listens at %q, %v", text, l, err)
		}
	})
}

func FuzzParseForward(f *testing.F) {
	for _, seed := range []string{"8080=intranet:80", "udp:[::1]:53=10.0.0.2:53", "tcp::22=localhost:22", "tcp:udp:1=a:1",
		"1=[fe80::1%x]:1", "1=a=b:1"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, remote bool) {
		r, err := ParseForward(text, remote)
		if err != nil {
			if r != (Forward{}) {
				t.Errorf("%q is refused, and yields %v", text, r)
			}
			return
		}
		if again, err := ParseForward(r.String(), remote); err != nil || again != r {
			t.Errorf("%q became %v, and that %v, %v", text, r, again, err)
		}
		if r.Protocol != "tcp" && r.Protocol != "udp" {
			t.Errorf("%q has protocol %q", text, r.Protocol)
		}
	})
}

// AllowedIPs as a .conf and a .toml have them: whatever was there before, the same
// comes out of what was written.
func FuzzAllowedIPs(f *testing.F) {
	f.Add("10.0.0.0/8,+10.1.2.3/16", "-10.1.0.0/16")
	f.Add("+0.0.0.0/0", "::/0")
	f.Add("-::/0,::1", "+::1/128,-::1")
	f.Add("-+1.1.1.1", "+-1.1.1.1")
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.ContainsAny(first+second, "#\n\r[\x00") {
			return
		}
		peer := "[Peer]\nPublicKey=" + pubA + "\nAllowedIPs=192.0.2.0/24,2001:db8::/32\n"
		text := peer + "[Peer]\nPublicKey=" + pubA + "\nAllowedIPs=" + first + "\nAllowedIPs=" + second + "\n"
		c, err := Parse(strings.NewReader(text), "wg0.conf")
		if err != nil {
			return
		}
		for _, p := range c.Peers[1].AllowedIPs {
			if p != p.Masked() || !strings.Contains(first+second, "+") && c.Peers[1].Incremental && len(c.Peers[1].Removed) == 0 {
				t.Errorf("%q, %q: %v of %+v", first, second, p, c.Peers[1])
			}
		}
		conf, err := Parse(strings.NewReader(written(t, c.WriteConf)), "wg0.conf")
		if err != nil || !reflect.DeepEqual(conf.AllowedRoutes(), c.AllowedRoutes()) {
			t.Errorf("%q, %q: routes %v became %v, %v", first, second, c.AllowedRoutes(), conf.AllowedRoutes(), err)
		}
		fromTOML, err := ParseTOML(strings.NewReader(written(t, c.WriteTOML)), "wg0.toml")
		if err != nil || !reflect.DeepEqual(fromTOML.AllowedRoutes(), c.AllowedRoutes()) {
			t.Errorf("%q, %q: routes %v became %v, %v", first, second, c.AllowedRoutes(), fromTOML.AllowedRoutes(), err)
		}
	})
}

// What a file of wireproxy's opens, and for whom, a .toml opens too, and no more.
func FuzzServicesByTOML(f *testing.F) {
	f.Add(wireproxyInterface + wireproxyServices)
	f.Add("[Socks5]\nBindAddress=1\nUsername=a\nPassword=\n[http]\nBindAddress=2\nUsername=a:b\nPassword=c\n")
	f.Add("[Socks5]\nBindAddress=:1\nUsername=$\n[TCPServerTunnel]\nListenPort=0\nTarget=a:1\n")
	f.Add("[UDPProxyTunnel]\nBindAddress=[::1]:1\nTarget=[::1]:1\nInactivityTimeout=0\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text), "wg0.conf")
		if err != nil || !c.Services.Any() {
			return
		}
		c.Services.Stdio, c.Import = "", "" // which a .toml cannot say
		for _, p := range append(c.Services.SOCKS5, c.Services.HTTP...) {
			if (p.User == "") != (p.Password == "") {
				t.Errorf("%q has a proxy with half of what a client must know", text)
			}
		}
		var b strings.Builder
		if err := c.WriteTOML(&b); err != nil {
			if strings.ToValidUTF8(text, "") != text {
				return
			}
			t.Fatal(err)
		}
		again, err := ParseTOML(strings.NewReader(b.String()), "wg0.toml")
		if err != nil {
			t.Fatalf("refuses its own text: %v\n%s", err, b.String())
		}
		if diff := cmp.Diff(c.Services, again.Services, same); diff != "" {
			t.Errorf("became another one: was -, is +\n%s", diff)
		}
	})
}
