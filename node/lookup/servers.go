package lookup

import (
	"net/netip"
	"strings"

	"github.com/wgnode/wgnode/node/safefile"
)

// files are where a system writes down its name servers.
type files struct {
	// resolvConf is what programs read, see resolv.conf(5).
	resolvConf string
	// behind are the files in which caches that run on the host itself write
	// down whom they ask, in the same format.
	behind []string
}

var systemFiles = files{"/etc/resolv.conf", []string{
	"/run/systemd/resolve/resolv.conf",        // systemd-resolved(8)
	"/run/NetworkManager/no-stub-resolv.conf", // NetworkManager with dnsmasq or systemd-resolved
}}

// servers returns the name servers of the system. A cache on the host itself
// asks others from sockets without our mark, so they are asked directly if it
// is known who they are.
func (f files) servers() []netip.Addr {
	found := read(f.resolvConf)
	if len(found) == 0 || !found[0].IsLoopback() {
		return found
	}
	for _, path := range f.behind {
		if real := read(path); len(real) > 0 && !real[0].IsLoopback() {
			return real
		}
	}
	return found
}

// maxConf bounds such a file, in bytes.
const maxConf = 1 << 20

// read returns the name servers that a file names; none if it cannot be read,
// as a system without a network need not have it.
func read(path string) []netip.Addr {
	text, err := safefile.Read(path, maxConf)
	if err != nil {
		return nil
	}
	var found []netip.Addr
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			found = append(found, a.Unmap())
		}
	}
	return found
}
