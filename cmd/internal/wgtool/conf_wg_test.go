package wgtool

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
	"github.com/wgnode/wgnode/tunnel/uapi"
)

// showconf prints what wg's prints, byte for byte.
func TestShowconfLikeWg(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	serveText(t, "many", manyPeers())
	serveText(t, "bare", "errno=0\n\n")
	serveText(t, "mute", "")
	for _, args := range [][]string{{"many"}, {"bare"}, {"mute"}, {"missing"}, {}, {"many", "bare"}} {
		sameRun(t, append([]string{"showconf"}, args...)...)
	}
}

// The same words to wg and to wgnode leave two equal devices equal, and print
// the same.
func TestSetLikeWg(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	t.Setenv(envRetries, "0")
	p := newTwins(t)
	one, two := key.GeneratePrivate().Public().Base64(), key.GeneratePrivate().Public().Base64()
	psk := secretFile(t, key.GeneratePreshared().Base64()+"\n")
	for _, words := range [][]string{
		{"private-key", secretFile(t, key.GeneratePrivate().Base64())},
		{"fwmark", "0xca6c"}, {"fwmark", "7"}, {"fwmark", "OFF"}, {"fwmark", "4294967295"},
		{"peer", one, "allowed-ips", "10.0.0.0/8, fd00::/64", "endpoint", "192.0.2.1:1", "persistent-keepalive", "25", "preshared-key", psk},
		{"peer", two, "allowed-ips", "10.0.0.0/8", "endpoint", "[2001:db8::1]:2"},
		{"peer", one, "endpoint", "::1:5", "persistent-keepalive", "off", "peer", two, "preshared-key", psk, "allowed-ips", ""},
		{"peer", one, "allowed-ips", "10.1.2.3/16,0.0.0.0/0", "allowed-ips", "::/0,192.0.2.7"},
		{"peer", two, "preshared-key", "/dev/null", "endpoint", "localhost:7"},
		{"peer", one, "remove"}, {"peer", one, "remove"}, {"peer", one}, {"private-key", "/dev/null"},
		// What is wrong, after something that is not: none of it is done.
		{"fwmark", "1", "bogus"}, {"fwmark", "1", "peer"}, {"fwmark", "1", "remove"}, {"fwmark", "1", "endpoint", "192.0.2.1:1"},
		{"fwmark", "1", "peer", one, "fwmark", "2"}, {"fwmark", "1", "peer", one, "listen-port", "2"}, {"fwmark"},
		{"fwmark", "0x"}, {"fwmark", "-1"}, {"fwmark", "4294967296"}, {"fwmark", ""},
		{"listen-port", ""}, {"listen-port", "x"}, {"listen-port", "-1"}, {"peer", "x"}, {"peer", ""},
		{"private-key", "/nonexistent"}, {"private-key", "/"}, {"private-key", secretFile(t, "x")},
		{"fwmark", "1", "peer", two, "preshared-key", "/nonexistent"},
		{"peer", two, "endpoint", ""}, {"peer", two, "endpoint", "[::1"}, {"peer", two, "endpoint", "[::1]"}, {"peer", two, "endpoint", "[::1]5"},
		{"peer", two, "endpoint", "a:"}, {"peer", two, "endpoint", "a"}, {"peer", two, "endpoint", ":5"},
		{"peer", two, "endpoint", "192.0.2.1:x"}, {"peer", two, "endpoint", "name.invalid:5"}, {"peer", two, "endpoint", "a b:5"},
		{"peer", two, "allowed-ips", "x"}, {"peer", two, "allowed-ips", ","}, {"peer", two, "allowed-ips", "10.0.0.0/8,"},
		{"peer", two, "allowed-ips", "10.0.0.0/33"}, {"peer", two, "allowed-ips", "10.0.0.0/"}, {"peer", two, "allowed-ips", "::/129"},
		{"peer", two, "allowed-ips", "10.0.0.0/8,fe80::1%lo/64"}, {"peer", two, "allowed-ips", "::/-1"},
		{"peer", two, "persistent-keepalive", "65536"}, {"peer", two, "persistent-keepalive", "x"},
		{"listen-port", p.taken},
	} {
		p.same(t, "set", words...)
	}
	for _, retries := range []string{"x", "-1", "2147483648", "infinity", "5"} {
		t.Setenv(envRetries, retries)
		p.same(t, "set", "peer", one, "endpoint", "192.0.2.1:1")
	}
}

// What wg 1.0.20210914 does not know, later ones do.
func TestSetIncremental(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	serveDevice(t, "wga")
	peer := key.GeneratePrivate().Public()
	for _, step := range []struct{ words, want string }{
		{"10.0.0.0/8,10.1.0.0/16", "10.0.0.0/8, 10.1.0.0/16"},
		{"+10.2.0.0/16", "10.0.0.0/8, 10.1.0.0/16, 10.2.0.0/16"},
		{"-10.1.0.0/16,+fd00::/8", "10.0.0.0/8, 10.2.0.0/16, fd00::/8"},
		{"-10.0.0.0/8", "10.2.0.0/16, fd00::/8"},
		{"192.0.2.0/24", "192.0.2.0/24"},
	} {
		if got := runWgnode([]string{"set", "wga", "peer", peer.Base64(), "allowed-ips", step.words}); got != (result{}) {
			t.Fatalf("allowed-ips %s: %+v", step.words, got)
		}
		status, err := uapi.Get("wga")
		if err != nil {
			t.Fatal(err)
		}
		if got := sortedList(allowedIPs(status.Peer(peer), ", ")); got != step.want {
			t.Errorf("after allowed-ips %s: %s, want %s", step.words, got, step.want)
		}
	}
}

func TestSetconfLikeWg(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	p := newTwins(t)
	private, psk := key.GeneratePrivate().Base64(), key.GeneratePreshared().Base64()
	one, two := key.GeneratePrivate().Public().Base64(), key.GeneratePrivate().Public().Base64()
	peer := func(pub, rest string) string { return "[Peer]\nPublicKey = " + pub + "\n" + rest }
	// The port is chosen at random when the file has none, so each has one.
	device := "[interface] # comment\nPrivate Key=" + private + "\nListenPort = PORT\nFwMark = 0x10\n"
	for _, text := range []string{
		device + peer(one, "AllowedIPs = 10.0.0.0/8\nPresharedKey = "+psk+"\nEndpoint = 192.0.2.1:5\n") + peer(two, "AllowedIPs = ::/0"),
		device + peer(two, "PersistentKeepalive = 25\nAllowedIPs = 10.0.0.0/8, fd00::/8\n") + peer(one, "allowedips = 192.0.2.1\n"),
		device + peer(one, "AllowedIPs = 10.0.0.0/8\n") + peer(two, "AllowedIPs = 10.0.0.0/8\n"),
		device + peer(one, "AllowedIPs = 10.0.0.0/8\n") + peer(one, "AllowedIPs = 10.1.0.0/16\nPersistentKeepalive = off\n"),
		"[Interface]\nListenPort = PORT\n" + peer(one, ""),
		"[Interface]\nListenPort = PORT\n",
	} {
		for _, command := range []string{"setconf", "addconf", "syncconf", "addconf", "setconf", "syncconf", "syncconf"} {
			p.sameFile(t, command, text)
		}
	}
	p.sameFile(t, "addconf", "")
	p.sameFile(t, "addconf", peer(one, "PersistentKeepalive = 7\nAllowedIPs = 10.0.0.0/8"))
	p.sameFile(t, "addconf", peer(one, "PersistentKeepalive = off"))
	p.sameFile(t, "addconf", "[Interface]\nFwMark = 5")
	p.sameFile(t, "addconf", "[Interface]\nFwMark = off")

	for _, args := range [][]string{
		{}, {"wga"}, {"wga", "x", "y"}, {"missing", "/dev/null"}, {"wga", "/nonexistent"},
	} {
		for _, command := range []string{"setconf", "addconf", "syncconf"} {
			sameRun(t, append([]string{command}, args...)...)
		}
	}
	sameRun(t, "syncconf", "missing", secretFile(t, peer(one, "")))
}

// What a file states no more goes: wg 1.0.20210914 keeps the preshared key and the
// keepalive, later ones do not.
func TestSyncconfForgets(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	serveDevice(t, "wga")
	peer := key.GeneratePrivate().Public()
	section := "[Peer]\nPublicKey = " + peer.Base64() + "\nAllowedIPs = 10.0.0.0/8\n"
	psk, keepalive := "PresharedKey = "+key.GeneratePreshared().Base64()+"\n", "PersistentKeepalive = 25\n"
	for _, step := range []struct {
		command, text string
		psk, alive    bool
	}{
		{command: "syncconf", text: section + psk + keepalive, psk: true, alive: true},
		{command: "addconf", text: section, psk: true, alive: true}, // which adds and takes nothing away
		{command: "syncconf", text: section + psk, psk: true, alive: false},
		{command: "syncconf", text: section + keepalive, psk: false, alive: true},
		{command: "syncconf", text: section + keepalive + "[Peer]\nPublicKey = " + peer.Base64() + "\n" + psk, psk: true, alive: true},
		{command: "syncconf", text: section, psk: false, alive: false},
	} {
		if got := runWgnode([]string{step.command, "wga", secretFile(t, step.text)}); got.status != 0 {
			t.Fatalf("%s: %+v", step.command, got)
		}
		status, err := uapi.Get("wga")
		if err != nil {
			t.Fatal(err)
		}
		p := status.Peer(peer)
		if !p.PresharedKey.IsZero() != step.psk || (p.PersistentKeepalive != 0) != step.alive {
			t.Errorf("after %s of\n%s\npreshared key: %t, keepalive: %v", step.command, step.text, !p.PresharedKey.IsZero(), p.PersistentKeepalive)
		}
	}
}

// A fault in a file is told with its line, without secrets, and changes nothing.
func TestSetconfFaults(t *testing.T) {
	if !inOwnNamespaces(t) {
		return
	}
	serveDevice(t, "wga")
	wgSet(t, "wga", "fwmark", "7", "private-key", secretFile(t, key.GeneratePrivate().Base64()))
	before := runWg(t, []string{"show", "wga", "dump"})
	private := key.GeneratePrivate().Base64()
	for text, want := range map[string]string{
		"[Interface]\nFwMark = x\n":                       `:2: FwMark: "x" is neither off nor 0 to 0xffffffff`,
		"[Interface]\nAddress = 10.0.0.1/8\n":             ":2: Address: is a key of wg-quick, not of wg",
		"[Peer]\nAllowedIPs = 10.0.0.0/8\n":               ":1: PublicKey: missing in this [Peer]",
		"[Interface]\nPrivateKey = " + private[1:] + "\n": ":2: PrivateKey: not a key: want 44 characters of base64",
		"FwMark = 1\n": ":1: a key before the first section: put [Interface] above it",
	} {
		path := secretFile(t, text)
		for _, command := range []string{"setconf", "addconf", "syncconf"} {
			got := runWgnode([]string{command, "wga", path})
			full := "wgnode: " + path + want + "\nConfiguration parsing error\n"
			if got != (result{errors: full, status: 1}) {
				t.Errorf("%s of %q: %+v, want %s", command, text, got, full)
			}
			if strings.Contains(got.errors, private[1:20]) {
				t.Errorf("%s shows a key: %s", command, got.errors)
			}
			if wg := runWg(t, []string{command, "wga", path}); wg.status != got.status {
				t.Errorf("%s of %q: wg has status %d", command, text, wg.status)
			}
		}
	}
	// wg takes a folder for an empty file, and the device would lose all.
	if got := runWgnode([]string{"setconf", "wga", "/"}); got.status != 1 || got.errors != "wgnode: read /: is a directory\n" {
		t.Errorf("setconf of a folder: %+v", got)
	}
	if after := runWg(t, []string{"show", "wga", "dump"}); after != before {
		t.Errorf("the device changed:\n%s\nwas\n%s", after.out, before.out)
	}
}

// twins are two equal devices, one for each program.
type twins struct{ taken string }

func newTwins(t *testing.T) twins {
	t.Helper()
	serveDevice(t, "wga")
	serveDevice(t, "wgb")
	wgSet(t, "wga", "listen-port", "50001")
	wgSet(t, "wgb", "listen-port", "50002")
	socket, err := net.ListenPacket("udp", ":50000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return twins{taken: "50000"}
}

// same runs COMMAND DEVICE WORDS, by wg for one and by wgnode for the other.
func (twins) same(t *testing.T, command string, words ...string) {
	t.Helper()
	want := runWg(t, append([]string{command, "wga"}, words...))
	got := runWgnode(append([]string{command, "wgb"}, words...))
	if got != want {
		t.Errorf("%s %q: %+v, wg: %+v", command, words, got, want)
	}
	sameDevices(t, fmt.Sprintf("%s %q", command, words))
}

// sameFile is same with a file, in which PORT is the device's own.
func (twins) sameFile(t *testing.T, command, text string) {
	t.Helper()
	want := runWg(t, []string{command, "wga", secretFile(t, strings.Replace(text, "PORT", "50001", 1))})
	got := runWgnode([]string{command, "wgb", secretFile(t, strings.Replace(text, "PORT", "50002", 1))})
	// wgnode has more to warn of; neither program says anything else here.
	if got.status != want.status || got.out != want.out || want.errors != "" {
		t.Errorf("%s of\n%s\n%+v, wg: %+v", command, text, got, want)
	}
	sameDevices(t, command+" of\n"+text)
}

func sameDevices(t *testing.T, after string) {
	t.Helper()
	state := func(name string) string {
		var lines []string
		for line := range strings.Lines(inAnyOrder(runWg(t, []string{"showconf", name}).out)) {
			if list, ok := strings.CutPrefix(line, "AllowedIPs = "); ok {
				line = sortedList(strings.TrimSpace(list)) + "\n"
			}
			lines = append(lines, line)
		}
		return strings.Join(lines, "")
	}
	a, b := state("wga"), strings.Replace(state("wgb"), "ListenPort = 50002", "ListenPort = 50001", 1)
	if a != b {
		t.Errorf("after %s: by wg\n%sby wgnode\n%s", after, a, b)
	}
}

// sortedList sorts what is separated by commas.
func sortedList(s string) string {
	items := strings.Split(s, ", ")
	slices.Sort(items)
	return strings.Join(items, ", ")
}

// sameRun runs the same in both programs and compares all that is seen of it.
func sameRun(t *testing.T, args ...string) {
	t.Helper()
	want, got := runWg(t, args), runWgnode(args)
	if got != want {
		t.Errorf("%q: %+v, wg: %+v", args, got, want)
	}
}
