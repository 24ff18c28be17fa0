//go:build linux

package system

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/lab"
	"github.com/wgnode/wgnode/node/lab/sitetest"
)

// badConfs are configurations that are refused, and what is said: where, and
// what to write instead. K stands for a good private key, A and B for public
// ones, I and P for the headers of sections.
var badConfs = []struct{ conf, at, remedy string }{
	{"MTU = 1400", "1: ", "put [Interface] above it"},
	{"[Interfaces]\nMTU = 1400", "1: ", "[Interface] and [Peer]"},
	{"[Interface\nMTU = 1400", "1: ", "[Interface] and [Peer]"},
	{"I\n[Peers]\nPublicKey = A", "2: ", "[Interface] and [Peer]"},
	{"I\nhello there", "2: ", "begin it with #"},
	{"I\nMTU", "2: MTU: ", "write MTU = VALUE"},
	{"I\nAddress: 10.0.0.1/24", "2: Address: ", "write Address = VALUE"},
	{"I\nAddress 10.0.0.1/24", "2: Address: ", "write Address = VALUE"},
	{"I\nAdress = 10.0.0.1/24", "2: ", "did you mean Address?"},
	{"I\nAllowedIPs = 10.0.0.1/24", "2: AllowedIPs: ", "belongs in [Peer]"},
	{"I\nEndpoint = a:1", "2: Endpoint: ", "belongs in [Peer]"},
	{"I\nColour = red", "2: ", "there are PrivateKey, ListenPort, "},
	{"I\nListenPort =", "2: ListenPort: ", "write ListenPort = VALUE"},
	{"I\nListenPort = 65536", "2: ListenPort: ", "0 to 65535"},
	{"I\nListenPort = -1", "2: ListenPort: ", "0 to 65535"},
	{"I\nListenPort = 51820/udp", "2: ListenPort: ", "neither a number nor a UDP service"},
	{"I\nFwMark = 0xzz", "2: FwMark: ", "neither off nor 0 to 0xffffffff"},
	{"I\nFwMark = 4294967296", "2: FwMark: ", "neither off nor 0 to 0xffffffff"},
	{"I\nMTU = 67", "2: MTU: ", "68 to 65535"},
	{"I\nMTU = 70000", "2: MTU: ", "68 to 65535"},
	{"I\nMTU = 1420 bytes", "2: MTU: ", "68 to 65535"},
	{"I\nMTU = \"1420\"", "2: MTU: ", "leave them out"},
	{"I\nTable = 0", "2: Table: ", "neither auto nor off, nor the number"},
	{"I\nTable = on", "2: Table: ", "neither auto nor off, nor the number"},
	{"I\nTable = 4294967296", "2: Table: ", "neither auto nor off, nor the number"},
	{"I\nSaveConfig = yes", "2: SaveConfig: ", "neither true nor false"},
	{"I\nSaveConfig =", "2: SaveConfig: ", "neither true nor false"},
	{"I\nAddress = 10.0.0.1/33", "2: Address: ", "/LENGTH"},
	{"I\nAddress = 10.0.0/24", "2: Address: ", "/LENGTH"},
	{"I\nAddress = 10.0.0.1/255.255.255.0", "2: Address: ", "such as /24 for /255.255.255.0"},
	{"I\nAddress = fd00::1/129", "2: Address: ", "/LENGTH"},
	{"I\nAddress = fd00::1::2/64", "2: Address: ", "/LENGTH"},
	{"I\nAddress = \"10.0.0.1/24\"", "2: Address: ", "leave them out"},
	{"I\nAddress = 10.0.0.1/24\nAddress = 10.0.0.1/24", "3: Address: ", "leave one out"},
	{"I\nAddress = fd00::1/64, fd00::1/128", "2: Address: ", "leave one out"},
	{"I\nDNS = 10.0.0", "2: DNS: ", "is not an IP address"},
	{"I\nDNS = 10.0.0.256", "2: DNS: ", "is not an IP address"},
	{"I\nDNS = https://dns.example/", "2: DNS: ", "is not an IP address"},
	{"I\nPrivateKey = <your key>", "2: PrivateKey: ", "44 characters of base64"},
	{"I\nPrivateKey = K=", "2: PrivateKey: ", "44 characters of base64"},
	{"I\nPrivateKey = xK", "2: PrivateKey: ", "44 characters of base64"},
	{"I\nPrivateKey = \"K\"", "2: PrivateKey: ", "leave them out"},
	{"I\nPublicKey = A", "2: PublicKey: ", "belongs in [Peer]"},
	{"I\nK", "2: unknown key: ", "there are PrivateKey, "},
	{"I\n\nP\nAllowedIPs = 10.0.0.0/8", "3: PublicKey: ", "missing in this [Peer]"},
	{"P\nPublicKey = A\nPrivateKey = K", "3: PrivateKey: ", "belongs in [Interface]"},
	{"P\nPublicKey = A\nPresharedKey = K=", "3: PresharedKey: ", "44 characters of base64"},
	{"P\nPublicKey = A\nAllowedIPs = 10.0.0.0/8,", "3: AllowedIPs: ", "/LENGTH"},
	{"P\nPublicKey = A\nAllowedIPs = 10.0.0.0/8; 10.1.0.0/16", "3: AllowedIPs: ", "/LENGTH"},
	{"P\nPublicKey = A\nAllowedIPs = 0.0.0.0/0 ::/0", "3: AllowedIPs: ", "/LENGTH"},
	{"P\nPublicKey = A\nAllowedIPs = any", "3: AllowedIPs: ", "/LENGTH"},
	{"P\nPublicKey = A\nAllowedIPs = ::ffff:10.0.0.0/104", "3: AllowedIPs: ", "write it as IPv4"},
	{"P\nPublicKey = A\nEndpoint = vpn.example", "3: Endpoint: ", "want HOST:PORT"},
	{"P\nPublicKey = A\nEndpoint = https://vpn.example:51820", "3: Endpoint: ", "want HOST:PORT"},
	{"P\nPublicKey = A\nEndpoint = [fd00::1]", "3: Endpoint: ", "want HOST:PORT"},
	{"P\nPublicKey = A\nEndpoint = vpn.example:0", "3: Endpoint: ", "1 to 65535"},
	{"P\nPublicKey = A\nEndpoint = 10.0.0.256:51820", "3: Endpoint: ", "is not an IPv4 address"},
	{"P\nPublicKey = A\nEndpoint = :51820", "3: Endpoint: ", "is empty"},
	{"P\nPublicKey = A\nPersistentKeepalive = 25s", "3: PersistentKeepalive: ", "neither off nor 1 to 65535 seconds"},
	{"P\nPublicKey = A\nPersistentKeepalive = yes", "3: PersistentKeepalive: ", "neither off nor 1 to 65535 seconds"},
	{"\xff\xfe[\x00I\x00n\x00t\x00", "1: ", "UTF-8"},
	{"I\nMTU = 14\x0000", "2: ", "not a text file"},
	{"[Interface]\r\nMTU = x\r\n", "2: MTU: ", "68 to 65535"},
}

var badWords = regexp.MustCompile(`\b(I|P|K|A|B)\b|xK`)

func fillBad(text string) string {
	return badWords.ReplaceAllStringFunc(text, func(word string) string {
		switch word {
		case "I":
			return "[Interface]"
		case "P":
			return "[Peer]"
		case "K":
			return fillKeys("KEY")
		case "xK":
			return "x" + fillKeys("KEY")
		}
		return fillKeys(word)
	})
}

// ofSecret matches half of the private key, or of the preshared key: less is no
// help to anybody.
var ofSecret = regexp.MustCompile(`S{20}|Z{20}`)

// What is wrong is refused with its place and a remedy, and nothing is done.
func TestBadConfs(t *testing.T) {
	lab.Need(t, "ip", "nft", "ps", "wg")
	t.Parallel()
	h := newQuickHost(t)
	wgnode := lab.Wgnode(t)
	before, all := h.state(quickTest{}), sitetest.HostState(h.Host)
	refused := func(file, want, remedy string) {
		t.Helper()
		out, status, err := h.Try(wgnode, "up", file)
		if err != nil || status != 1 || !strings.Contains(out, want) || !strings.Contains(out, remedy) {
			t.Errorf("status %d, %v, want %q and %q in\n%s", status, err, want, remedy, out)
		}
		if ofSecret.MatchString(out) || strings.Contains(out, "[#]") {
			t.Errorf("a secret or a step is in\n%s", out)
		}
	}
	for _, bad := range badConfs {
		h.WriteFile("/etc/wireguard/wg0.conf", fillBad(bad.conf), 0o600)
		refused("wg0", "wgnode: /etc/wireguard/wg0.conf:"+bad.at, bad.remedy)
	}

	good := fillBad("I\nPrivateKey = K\n")
	for file, remedy := range map[string]string{
		"/etc/wireguard/sixteen-letters-.conf": "at most 15 characters",
		"/etc/wireguard/a name.conf":           "letters, digits and _=+.-",
		"/etc/wireguard/wg0.txt":               "the path of a .conf",
		"/etc/wireguard/none.conf":             "does not exist\nwgnode: hint: /etc/wireguard has configurations for wg0",
	} {
		if !strings.HasSuffix(file, "none.conf") {
			h.WriteFile(file, good, 0o600)
		}
		refused(file, filepath.Base(file), remedy)
	}
	var many strings.Builder
	for i := range 1<<16 + 1 {
		fmt.Fprintf(&many, "[Peer]\nPublicKey = %011dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", i)
	}
	h.WriteFile("/etc/wireguard/wg0.conf", good+many.String(), 0o600)
	refused("wg0", "wg0.conf: 65537 peers", "split them over")

	sitetest.Same(t, "changed", before, h.state(quickTest{}))
	sitetest.Same(t, "changed", all, sitetest.HostState(h.Host))
}

// However a good configuration is spoilt, it is read, or refused with a place;
// and no secret is shown.
func TestSpoiltConfs(t *testing.T) {
	t.Parallel()
	tests := quickTests(t, "testdata/wg-quick/configs.txtar")
	random := rand.New(rand.NewPCG(1, 2))
	place := regexp.MustCompile(`(?m)^wg0\.conf:([0-9]+): .`)
	refused := 0
	for range 20000 {
		test := tests[random.IntN(len(tests))]
		text := []byte(test.conf)
		for range 1 + random.IntN(3) {
			at, n := random.IntN(len(text)), random.IntN(12)
			switch random.IntN(4) {
			case 0: // cut out
				text = append(text[:at:at], text[min(at+n, len(text)-1):]...)
			case 1: // said twice
				text = append(text[:at:at], text[max(0, at-n):]...)
			case 2: // another letter
				text[at] = "=[]#,:/ \n\x00A0\xff\""[random.IntN(14)]
			case 3: // lines joined
				if i := strings.IndexByte(string(text[at:]), '\n'); i >= 0 {
					text = append(text[:at+i:at+i], text[at+i+1:]...)
				}
			}
			if len(text) == 0 {
				break
			}
		}
		cfg, err := config.Parse(strings.NewReader(string(text)), "wg0.conf")
		if err == nil {
			err = fmt.Errorf("%s", strings.Join(cfg.Warnings(), "\n"))
		} else {
			refused++
			for line := range strings.Lines(err.Error()) {
				if !place.MatchString(line) {
					t.Errorf("%q has no place; of\n%s", line, text)
				}
			}
		}
		if ofSecret.MatchString(err.Error()) {
			t.Errorf("%q holds a secret; of\n%s", err, text)
		}
	}
	if refused < 1000 {
		t.Errorf("only %d were refused", refused)
	}
}
