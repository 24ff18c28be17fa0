package peernames

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wgnode/wgnode/probe/key"
)

// The file of the device is found, whichever program's it is, and no other's.
func TestFind(t *testing.T) {
	k := key.Public{1}
	peer := func(header, name string) string {
		return header + "\n# Name = " + name + "\nPublicKey = " + k.Base64() + "\n"
	}
	netdev := func(device, name string) string {
		return "[Match]\nName=no\n[NetDev]\nName = " + device + "\nKind=wireguard\n[WireGuard]\nPrivateKey=x\n" +
			peer("[WireGuardPeer]", name)
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/wireguard/wg0.conf":          "[Interface]\nPrivateKey = x\n" + peer("[Peer]", "quick"),
		"etc/systemd/network/10-a.netdev": netdev("wg1", "networkd"),
		"run/systemd/network/b.netdev":    netdev("wg2", "runtime"),
		"etc/NetworkManager/system-connections/home.nmconnection": "[connection]\ninterface-name=wg3\n" +
			peer("[wireguard-peer."+k.Base64()+"]", "nm"),
		"etc/wireguard/wg4.conf": "[Peer]\nPublicKey = " + k.Base64() + "\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for device, want := range map[string]string{
		"wg0": "quick", "wg1": "networkd", "wg2": "runtime", "wg3": "nm", "wg4": "", "no": "", "wg": "", "*": "", "../wg0": "", "": "",
	} {
		names, file := find(root, device)
		if names[k] != want || (file != "") != (want != "") {
			t.Errorf("%q: %v from %s, want %q", device, names, file, want)
		}
	}
}
