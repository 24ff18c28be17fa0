// Package peernames finds what the peers of a WireGuard device of the kernel's are called. The
// kernel does not know: the file does that the device was configured by.
package peernames

import (
	"bufio"
	"io"
	"path/filepath"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
	"github.com/wgnode/wgnode/probe/key"
)

// maxFile bounds what is read of a file: one of 10,000 peers has 2 MB.
const maxFile = 16 << 20

// place is where a program keeps the files of devices, the key that says in a file for
// which device it is, and the section that this is in.
type place struct {
	pattern      string // below the root; % stands for the device
	section, key string // "": the name of the file says it
}

// places are those of wg-quick, systemd-networkd and NetworkManager. What an administrator
// has written goes before what was made at run time.
var places = []place{
	{pattern: "etc/wireguard/%.conf"},
	{"etc/systemd/network/*.netdev", "NetDev", "Name"},
	{"run/systemd/network/*.netdev", "NetDev", "Name"},
	{"usr/lib/systemd/network/*.netdev", "NetDev", "Name"},
	{"etc/NetworkManager/system-connections/*", "connection", "interface-name"},
	{"run/NetworkManager/system-connections/*", "connection", "interface-name"},
}

// Find finds the names of a device's peers, and the file that they are from: the first one
// that has any. None are found where there is none, or this process may not read it. A
// file says what somebody calls a peer, and nothing else of it is used.
func Find(device string) (names map[key.Public]string, file string) {
	return find("/", device)
}

func find(root, device string) (names map[key.Public]string, file string) {
	if device == "" || strings.ContainsAny(device, "/*?[\\%") {
		return nil, "" // no name of a device that a program makes files for
	}
	for _, p := range places {
		files, err := filepath.Glob(filepath.Join(root, strings.ReplaceAll(p.pattern, "%", device)))
		if err != nil {
			continue // not possible: the patterns are right
		}
		for _, file := range files {
			text := read(file)
			if p.key != "" && value(text, p.section, p.key) != device {
				continue
			}
			if names := config.PeerNames(text); len(names) > 0 {
				return names, file
			}
		}
	}
	return nil, ""
}

// read reads a file, as far as it can be read.
func read(name string) string {
	f, err := safefile.OpenAny(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return ""
	}
	return string(b)
}

// value is that of a key in a section.
func value(text, section, key string) string {
	in := false
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			in = line == "["+section+"]"
			continue
		}
		if k, v, ok := strings.Cut(line, "="); ok && in && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
