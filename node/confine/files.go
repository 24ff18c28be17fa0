//go:build linux

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wgnode/wgnode/node/safefile"
)

const (
	resolvConf = "/etc/resolv.conf"
	nsswitch   = "/etc/nsswitch.conf"
)

// daemons are sockets of those who resolve names outside, for programs that ask
// them past nsswitch.conf: nscd, systemd-resolved, avahi.
var daemons = []string{
	"/run/nscd/socket",
	"/run/systemd/resolve/io.systemd.Resolve",
	"/run/avahi-daemon/socket",
}

// maxConf bounds the file that is read, in bytes.
const maxConf = 1 << 20

// files covers those that say how names are resolved. They are written to a file
// system in memory, which vanishes with the last process in here.
func (f *furnisher) files(n Network) error {
	// A change of the host's mounts may still come in here, but none get out.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("separate mounts from the host's: %w", err)
	}
	covers := []cover{resolvCover(resolvText(n))}
	switch text, err := safefile.Read(nsswitch, maxConf); {
	case err == nil:
		covers = append(covers, cover{path: nsswitch, text: hostsByDNS(string(text))})
	case !errors.Is(err, fs.ErrNotExist): // without it files and DNS are asked
		return fmt.Errorf("read %s: %w", nsswitch, err)
	}
	for _, path := range daemons {
		covers = append(covers, cover{path: path})
	}
	missing, err := coverAll(covers)
	if err != nil {
		return err
	}
	switch {
	case missing[covers[0].path]:
		f.note("there is no %s to put the name servers in: names do not resolve for the command", resolvConf)
	case len(n.Servers) == 0:
		f.note("the configuration has no DNS: names do not resolve for the command")
	}
	return nil
}

// cover is a file to be seen in the place of another, or, with a name, a folder
// in the place of another, in which that is the only file.
type cover struct{ path, name, text string }

// resolvCover covers resolv.conf. Daemons replace it when the host's network
// changes, and a mount over a file goes with the file. Where they have it in a
// folder of their own below /run the whole folder is covered, which stays.
func resolvCover(text string) cover {
	real, err := filepath.EvalSymlinks(resolvConf)
	if err != nil {
		return cover{path: resolvConf, text: text} // coverAll finds out why
	}
	if dir := filepath.Dir(real); strings.HasPrefix(dir, "/run/") {
		return cover{dir, filepath.Base(real), text}
	}
	return cover{path: real, text: text}
}

// scratch is a folder that is on every system. For as long as files are made its
// contents are hidden from this process, and only from it.
const scratch = "/dev"

// coverAll mounts the covers. Those that have nothing to cover are missing.
func coverAll(covers []cover) (missing map[string]bool, err error) {
	missing = make(map[string]bool)
	// They are found before the scratch folder hides them, and through links: it
	// is the file itself that is covered, by whatever name it is opened.
	places := make(map[string]*os.File)
	defer func() {
		for _, place := range places {
			_ = place.Close() // nothing was written
		}
	}()
	for _, c := range covers {
		place, err := os.OpenFile(c.path, unix.O_PATH, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			missing[c.path] = true // it is not there for the command either
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", c.path, err)
		}
		places[c.path] = place
	}
	if err := unix.Mount("wgnode", scratch, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
		return nil, fmt.Errorf("mount a file system in memory: %w", err)
	}
	defer func() {
		// What was bound from it elsewhere stays.
		if uerr := unix.Unmount(scratch, unix.MNT_DETACH); uerr != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", scratch, uerr))
		}
	}()
	defer unix.Umask(unix.Umask(0)) // they are for all to read
	for i, c := range covers {
		if place := places[c.path]; place != nil {
			if err := c.mount(place, filepath.Join(scratch, fmt.Sprint(i))); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// mount writes the text to a new file and mounts that over the place.
func (c cover) mount(place *os.File, file string) error {
	source := file
	if c.name != "" {
		if err := os.Mkdir(source, 0o755); err != nil {
			return fmt.Errorf("cover %s: %w", c.path, err)
		}
		file = filepath.Join(source, c.name)
	}
	if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
		return fmt.Errorf("cover %s: %w", c.path, err)
	}
	if err := unix.Mount(source, fmt.Sprintf("/proc/self/fd/%d", place.Fd()), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cover %s: %w", c.path, err)
	}
	return nil
}

// resolvText is the network's resolv.conf(5).
func resolvText(n Network) string {
	var b strings.Builder
	b.WriteString("# The name servers of " + n.Name + ", for a command that runs in it.\n")
	for _, a := range n.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if len(n.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(n.Search, " "))
	}
	return b.String()
}

var hostsLine = regexp.MustCompile(`(?m)^[ \t]*hosts:.*$`)

// hostsByDNS is an nsswitch.conf(5) in which names of hosts are looked up in
// /etc/hosts and by DNS, and the rest is as it was.
func hostsByDNS(text string) string {
	return hostsLine.ReplaceAllString(text, "") + "\nhosts: files dns\n"
}
