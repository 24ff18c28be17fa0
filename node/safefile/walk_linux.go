package safefile

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links a path may lead through, as for the kernel.
const maxLinks = 40

// staff is Debian's group of those who may install programs below /usr/local.
// Debian lets it write the folders there, and calls it equal to root.
const staff = 50

// place is where a path leads when all links are followed: a name in a folder.
type place struct {
	folder int    // a descriptor that stands for the folder, and allows nothing else
	name   string // in the folder
	path   string // of both, without links
	owners Owners // who may own it; those asked about, and of what is mounted on the way
	// shared: others can make files in the folder.
	shared bool
	// there is what has the name, nil if nothing has it.
	there *unix.Stat_t
	// doubt is the first thing on the way that is not trusted; link the first
	// of those that is a link.
	doubt, link *Untrusted
}

func (p *place) close() { _ = unix.Close(p.folder) } // nothing can be written by it

// walker follows a path.
type walker struct {
	place
	last  bool     // a link at the end is followed, too
	left  []string // names that are yet to be followed
	links int
}

// follow follows a path to its end, where there need not be anything. Without
// last, a link at the end is not followed. The error does not name the path.
func follow(name string, owners Owners, last bool) (*place, error) {
	left, err := names(name)
	if err != nil {
		return nil, err
	}
	return (&walker{place: place{folder: -1, owners: owners}, last: last, left: left}).walk()
}

// followInto follows the path of a folder, and into it: what the path leads to
// is then called ".".
func followInto(name string, owners Owners) (*place, error) {
	left, err := names(name)
	if err != nil {
		return nil, err
	}
	return (&walker{place: place{folder: -1, owners: owners}, left: append(left, ".")}).walk()
}

func (w *walker) walk() (*place, error) {
	err := w.enterRoot()
	for err == nil && len(w.left) > 0 {
		err = w.step()
	}
	if err == nil && w.name == "" { // the root, or a path that ends in ..
		w.left = []string{"."}
		err = w.step()
	}
	if err != nil {
		if w.folder >= 0 {
			w.close()
		}
		return nil, err
	}
	return &w.place, nil
}

// names are the parts of an absolute path, or of one that begins in the current
// folder.
func names(name string) ([]string, error) {
	if !path.IsAbs(name) {
		cwd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		name = cwd + "/" + name
	}
	return parts(name), nil
}

// parts are the names between slashes.
func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(p string) bool { return p == "" || p == "." })
}

func (w *walker) enterRoot() error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return w.enter(fd, "/")
}

// enter goes on in a folder, of which fd is a descriptor.
func (w *walker) enter(fd int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return err
	}
	if w.folder >= 0 {
		_ = unix.Close(w.folder)
	}
	w.folder, w.path, w.name = fd, path, ""
	why, others := writers(fd, &st, w.owners, path)
	w.shared = others
	if strings.HasPrefix(path, "/etc/") && mounted(fd) {
		w.owners = w.owners.And(int(st.Uid))
	}
	switch sticky := st.Mode&unix.S_ISVTX != 0; {
	case !w.owners.Has(st.Uid) && !unmapped(st.Uid):
		w.suspect(&st, path, Foreign)
	case others && !sticky:
		w.suspect(&st, path, why)
	}
	return nil
}

// step follows the next name.
func (w *walker) step() error {
	name := w.left[0]
	w.left = w.left[1:]
	if name == "." {
		w.name, w.there = name, new(unix.Stat_t)
		return unix.Fstat(w.folder, w.there)
	}
	if name == ".." {
		fd, err := unix.Openat(w.folder, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return w.enter(fd, path.Dir(w.path))
	}
	fd, err := unix.Openat(w.folder, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT && len(w.left) == 0 {
		w.name, w.path, w.there = name, path.Join(w.path, name), nil
		return nil
	}
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return err
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK && (w.last || len(w.left) > 0):
		err = w.followLink(fd, name, &st)
	case kind == unix.S_IFDIR && len(w.left) > 0:
		return w.enter(fd, path.Join(w.path, name))
	case len(w.left) > 0:
		err = unix.ENOTDIR
	default:
		w.name, w.path, w.there = name, path.Join(w.path, name), &st
	}
	_ = unix.Close(fd)
	return err
}

func (w *walker) followLink(fd int, name string, st *unix.Stat_t) error {
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	// A link can be changed by those only who can write its folder.
	if (w.shared || w.doubt != nil) && !w.owners.Has(st.Uid) {
		w.suspect(st, path.Join(w.path, name), Foreign)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return err
	}
	target := string(buf[:n])
	w.left = append(parts(target), w.left...)
	if path.IsAbs(target) {
		return w.enterRoot()
	}
	return nil
}

func (w *walker) suspect(st *unix.Stat_t, path string, why Why) {
	e := untrusted(st, path, why)
	if w.doubt == nil {
		w.doubt = e
	}
	if w.link == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		w.link = e
	}
}

func untrusted(st *unix.Stat_t, path string, why Why) *Untrusted {
	return &Untrusted{Path: path, Dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, Link: st.Mode&unix.S_IFMT == unix.S_IFLNK,
		Why: why, UID: st.Uid, GID: st.Gid, Mode: st.Mode & 0o7777}
}

// writers reports whether others than the owners can write what is at path, of
// which fd is a descriptor, and why.
func writers(fd int, st *unix.Stat_t, owners Owners, path string) (why Why, others bool) {
	switch {
	case st.Mode&0o002 != 0:
		return Writable, true
	case st.Mode&0o020 == 0:
		return 0, false
	case !owners.hasGroup(st.Gid):
		belowLocal := path == "/usr/local" || strings.HasPrefix(path, "/usr/local/")
		return Writable, st.Gid != staff || !belowLocal
	}
	return Listed, hasList(fd)
}

// mounted reports whether something is mounted where the file or folder is. For a
// file, and for a folder below /etc, that is root's word for it: so containers
// get their configuration, and its owner there may be any user of the host.
func mounted(fd int) bool {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, 0, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// hasList reports whether a file has an access control list. What such a list
// allows at most stands in the place of the group's rights.
func hasList(fd int) bool {
	_, err := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), "system.posix_acl_access", nil)
	return err == nil
}
