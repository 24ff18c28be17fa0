package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wgnode/wgnode/node/bundle"
	"github.com/wgnode/wgnode/probe"
	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/probe/recording"
	"github.com/wgnode/wgnode/probe/redact"
)

// host is a made-up host: its secrets, and what its files and programs say of them.
type host struct {
	*rand.Rand
	keys      [][]byte
	passwords []string
	public    []key.Public
	toml      bool
}

func newHost(seed uint64) *host {
	return &host{Rand: rand.New(rand.NewPCG(seed, 7)), toml: seed%3 == 0}
}

func (h *host) pick(of ...string) string { return of[h.IntN(len(of))] }

func (h *host) newKey() string {
	k := make([]byte, key.Size)
	for i := range k {
		k[i] = byte(h.Uint32())
	}
	h.keys = append(h.keys, k)
	return base64.StdEncoding.EncodeToString(k)
}

func (h *host) newPassword() string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	b := []byte{letters[h.IntN(24)], '7'}
	for range 8 + h.IntN(20) {
		b = append(b, letters[h.IntN(len(letters))])
	}
	h.passwords = append(h.passwords, string(b))
	return string(b)
}

// encodings are all ways in which somebody may write a key.
func encodings(k []byte) []string {
	std, web, low := base64.StdEncoding.EncodeToString(k), base64.URLEncoding.EncodeToString(k), hex.EncodeToString(k)
	mixed := []byte(low)
	for i := 0; i < len(mixed); i += 2 {
		mixed[i] = strings.ToUpper(low)[i]
	}
	return []string{std, web, strings.TrimRight(std, "="), strings.TrimRight(web, "="), low, strings.ToUpper(low), string(mixed), string(k)}
}

// said is one of the host's secrets in some encoding.
func (h *host) said() string {
	if h.IntN(4) == 0 {
		return h.pick(h.passwords...)
	}
	return h.pick(encodings(h.keys[h.IntN(len(h.keys))])...)
}

// hook is a command with a secret in it.
func (h *host) hook() string {
	secret := ""
	if h.IntN(3) == 0 {
		secret = h.newKey()
	} else {
		secret = h.newPassword()
	}
	return fmt.Sprintf(h.pick(
		"wg set %%i peer X preshared-key <(echo %s)",
		"curl -s https://user:%s@api.example/up",
		"curl -s 'https://api.example/up?token=%s&x=1'",
		"curl -H 'Authorization: Bearer %s' https://api.example",
		"TOKEN=%s /usr/local/bin/notify",
		"echo %s | sudo tee /etc/secret",
		"iptables -A INPUT -m comment --comment %s -j ACCEPT",
		`mysql -p%s -e "select 1"`,
		"/opt/%s/run.sh --password=x",
		"printf %%%%s '%s'>/dev/shm/k"), secret)
}

func (h *host) config() string {
	if h.toml {
		return h.configTOML()
	}
	var b strings.Builder
	line := func(k, v string) {
		k = h.pick(k, strings.ToLower(k), strings.ToUpper(k))
		if h.IntN(3) == 0 {
			v += " # " + h.newPassword()
		}
		b.WriteString(k + h.pick(" = ", "=", "  =  ") + v + h.pick("\n", "\r\n", "\n\n"))
	}
	b.WriteString("[Interface]\n")
	line("PrivateKey", h.newKey())
	line("Address", "10.66.0.1/24")
	if h.IntN(3) == 0 {
		b.WriteString("#PrivateKey = " + h.newKey() + "\n")
	}
	for range h.IntN(3) {
		b.WriteString(h.pick("PostUp", "PreDown", "postup") + " = " + h.hook() + "\n")
	}
	if h.IntN(5) == 0 {
		line("Passphrase", h.newPassword()) // a key that nobody knows
	}
	if h.IntN(5) == 0 {
		b.WriteString(h.newKey() + "\n") // somebody has slipped
	}
	for range h.IntN(4) {
		b.WriteString("[Peer]\n# Name = peer " + h.pick("alice", "bob") + "\n")
		line("PublicKey", h.peer().Base64())
		line("AllowedIPs", "10.66.0.2/32")
		if h.IntN(2) == 0 {
			k := h.newKey()
			line("PresharedKey", h.pick(k, k[:20]+" "+k[20:]))
		}
	}
	if h.IntN(3) == 0 {
		b.WriteString("[http]\nBindAddress = 127.0.0.1:8080\nUsername = " + h.newPassword() + "\nPassword = " + h.newPassword() + "\n")
	}
	return b.String()
}

func (h *host) peer() key.Public {
	k := key.GeneratePrivate().Public()
	h.public = append(h.public, k)
	return k
}

func (h *host) configTOML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n[interface]\nprivate_key = %q\naddress = [\"10.66.0.1/24\"]\n", h.newPassword(), h.newKey())
	hooks := []string{}
	for range h.IntN(3) {
		hooks = append(hooks, h.hook())
	}
	text, _ := json.Marshal(hooks)
	fmt.Fprintf(&b, "post_up = %s\n", text)
	for range h.IntN(3) {
		fmt.Fprintf(&b, "[[peer]]\npublic_key = %q\npreshared_key = '''\n%s'''\nallowed_ips = [\"10.66.0.2/32\"]\n",
			h.peer().Base64(), h.newKey())
	}
	fmt.Fprintf(&b, "[[socks5]]\nlisten = \"127.0.0.1:1080\"\nuser = \"u\"\npassword = %q\n", h.newPassword())
	if h.IntN(10) == 0 {
		b.WriteString("= " + h.newKey() + "\n") // no TOML
	}
	return b.String()
}

// log is what programs have said, of secrets too.
func (h *host) log() string {
	var b strings.Builder
	for range 5 + h.IntN(10) {
		fmt.Fprintf(&b, h.pick(
			"wg0: cannot use %s\n", "hook said: %s\n", "GET https://api.example/%s\n", "password: %s\n", "key=%s,\n", "psk-%s\n", "{\"k\":\"%s\"}\n",
			"%s", "a/%s/b\n", "%s%%0A\n", "\x00%s\xff\n"), h.said())
	}
	return b.String()
}

func (h *host) rules() string {
	return fmt.Sprintf("table inet f {\n\tchain c {\n\t\ttcp dport 22 accept comment %q # handle 3\n\t\tlog prefix %q\n\t}\n}\n"+
		"-A INPUT -m comment --comment %q -j ACCEPT\n-A INPUT -m comment --comment %s -j DROP\n# %s\n",
		h.newPassword(), "from "+h.newPassword()+" ", h.newPassword(), h.newPassword(), h.said())
}

// own is JSON that has a secret where none should be.
func (h *host) own() string {
	said := h.pick(encodings(h.keys[0])[:7]...)
	text, _ := json.Marshal(map[string]any{"summary": "the key " + said, "code": "healthy", "list": []string{said, h.passwords[0]}})
	return string(text)
}

func (h *host) recording(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	out := recording.To(&b)
	m := &recording.Meta{ID: 7, Host: "secret-host", Interface: "wg0", PublicKey: h.peer(),
		Clock: recording.Clock{Started: time.Unix(1700000000, 0)}}
	m.Peers = append(m.Peers, recording.Peer{ID: 1, PublicKey: h.peer(), Name: "alice"})
	e := &probe.Event{Time: 1700000000e9, Seam: probe.SeamUDPSend, Kind: probe.KindData, Peer: 1, PrefixBits: probe.NoPrefix,
		OuterDst: probe.AddrFrom(netip.MustParseAddr("93.184.216.34"))}
	if err := errors.Join(out.Begin(m), out.Event(e, nil, 0), out.Close(recording.Loss{})); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (h *host) sources(t *testing.T) []bundle.Source {
	t.Helper()
	name, kind := "config.conf", bundle.Config
	if h.toml {
		name, kind = "config.toml", bundle.ConfigTOM
	}
	config := h.config()
	if len(h.passwords) == 0 {
		h.newPassword()
		config += "\n"
		if !h.toml {
			config += "[http]\nPassword = " + h.passwords[0] + "\n"
		}
	}
	rules, rec := h.rules(), h.recording(t)
	get := func(text string, err error) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return []byte(text), err }
	}
	said := errors.New("it says " + h.pick(encodings(h.keys[0])...))
	return []bundle.Source{
		{Name: "log.txt", Kind: bundle.Foreign, Get: get(h.log(), nil)},
		{Name: "doctor.json", Kind: bundle.Own, Get: get(h.own(), nil)},
		{Name: "nftables.txt", Kind: bundle.Rules, Get: get(rules, said)},
		{Name: name, Kind: kind, Get: get(config, nil)},
		{Name: "device.json", Kind: bundle.Own, Get: get("", said)},
		{Name: bundle.RecordingName, Kind: bundle.Recording, Get: get(string(rec), nil)},
	}
}

// files are those in an archive.
func files(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for in := tar.NewReader(zip); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if head.Mode != 0o600 {
			t.Errorf("%s has mode %o", head.Name, head.Mode)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(head.Name, "wgnode-bundle/")] = data
	}
}

// No secret is in a bundle, in no encoding.
func TestNoSecrets(t *testing.T) {
	kept := make(map[string]int)
	runs := 1000
	if testing.Short() {
		runs = 100
	}
	for seed := range uint64(runs) {
		h := newHost(seed)
		o := bundle.Options{Sources: h.sources(t), Secrets: redact.NewSecrets()}
		// The device tells its keys; the file may not be readable, and others may be in it.
		o.Secrets.Key([key.Size]byte(h.keys[0]))
		for _, k := range h.public {
			o.Secrets.Public(k)
		}
		if seed%2 == 0 {
			o.Names = redact.NewNames()
		}
		var out bytes.Buffer
		if _, err := bundle.Write(t.Context(), &out, o); err != nil {
			t.Fatal(err)
		}
		for name, data := range files(t, out.Bytes()) {
			kept[name]++
			for _, k := range h.keys {
				for _, form := range encodings(k) {
					if bytes.Contains(data, []byte(form)) {
						t.Fatalf("seed %d: %q, %q is in %s:\n%s\nof\n%s", seed, base64.StdEncoding.EncodeToString(k), form, name, data, configOf(t, o))
					}
				}
			}
			for _, p := range h.passwords {
				if bytes.Contains(data, []byte(p)) {
					t.Fatalf("seed %d: %q is in %s:\n%s\nof\n%s", seed, p, name, data, configOf(t, o))
				}
			}
			if o.Names != nil && (bytes.Contains(data, []byte("10.66.0.1/24")) || bytes.Contains(data, []byte("secret-host")) ||
				bytes.Contains(data, []byte{93, 184, 216, 34})) {
				t.Fatalf("seed %d: identities are in %s:\n%q", seed, name, data)
			}
		}
	}
	for _, name := range []string{"log.txt", "doctor.json", "nftables.txt", bundle.RecordingName, bundle.IndexName} {
		if kept[name] < runs*9/10 { // a part may be left out, but not as a rule
			t.Errorf("%s is in %d of %d bundles", name, kept[name], runs)
		}
	}
	if n := kept["config.conf"] + kept["config.toml"]; n < runs*9/10 {
		t.Errorf("the configuration is in %d of %d bundles", n, runs)
	}
}

// configOf is the configuration that a bundle was made of.
func configOf(t *testing.T, o bundle.Options) []byte {
	t.Helper()
	for _, s := range o.Sources {
		if s.Kind == bundle.Config || s.Kind == bundle.ConfigTOM {
			text, err := s.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	return nil
}
