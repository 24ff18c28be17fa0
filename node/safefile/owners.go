package safefile

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Owners are the users whose files are trusted.
type Owners []uint32

// Self are root and the user that this process runs as.
func Self() Owners { return Owners{0}.And(os.Geteuid()) }

// Mine are [Self], and, if this process runs as root, who became so by sudo, doas
// or pkexec: that user has chosen the command, and could as well have given it
// another file.
func Mine() Owners {
	o := Self()
	if os.Geteuid() != 0 {
		return o
	}
	for _, variable := range []string{"SUDO_UID", "PKEXEC_UID"} {
		if uid, err := strconv.ParseUint(os.Getenv(variable), 10, 32); err == nil {
			o = o.And(int(uid))
		}
	}
	if name := os.Getenv("DOAS_USER"); name != "" {
		if u, err := user.Lookup(name); err == nil {
			if uid, err := strconv.ParseUint(u.Uid, 10, 32); err == nil {
				o = o.And(int(uid))
			}
		}
	}
	return o
}

// And are the owners and one more.
func (o Owners) And(uid int) Owners {
	if slices.Contains(o, uint32(uid)) {
		return o
	}
	return append(slices.Clone(o), uint32(uid))
}

// Has reports whether the user is one of them.
func (o Owners) Has(uid uint32) bool { return slices.Contains(o, uid) }

// hasGroup reports whether a group is the own one of one of them: it has the
// user's number, and nobody else in it. So it is with root's, and with those
// that systems give to each user.
func (o Owners) hasGroup(gid uint32) bool { return slices.Contains(o, gid) }

// AsRoot reports whether this process is root's. One that is root only in a user
// namespace without all users has the rights of the user who has made it.
func AsRoot() bool { return os.Geteuid() == 0 && !partlyMapped() }

// unmapped reports whether a user number is that of users who have none here:
// this process is in a user namespace, and who owns the file is outside. So it
// is with the root folder of containers that a user has started.
func unmapped(uid uint32) bool { return uid == overflowUID && partlyMapped() }

// overflowUID is the kernel's number for users without one (user_namespaces(7)).
const overflowUID = 65534

var partlyMapped = sync.OnceValue(func() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
})
