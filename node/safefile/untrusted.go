package safefile

import (
	"fmt"
	"os/user"
	"strconv"
)

// Why is the reason why something is not trusted.
type Why int

const (
	Foreign  Why = iota // it belongs to another user
	Writable            // others can write it
	Listed              // so its access control list says
	Linked              // it has further names, in a folder where others can make files
)

// Untrusted is the error for what others have made, or could change.
type Untrusted struct {
	// Path is the file, or a folder or a link on the way to it; File is the file as
	// it was asked for.
	Path, File string
	Dir        bool // it is a folder
	Link       bool // it is a symbolic link
	Why        Why
	UID        uint32
	GID        uint32
	Mode       uint32 // as chmod(1) has it
}

func (e *Untrusted) Error() string {
	switch e.Why {
	case Foreign:
		return fmt.Sprintf("%s belongs to %s", e.Path, userName(e.UID))
	case Linked:
		return e.Path + " has further names (hard links), and is in a folder where others can make files"
	case Listed:
		return e.Path + " can be written by users whom its access control list names"
	}
	return fmt.Sprintf("%s can be written by %s (mode %04o)", e.Path, e.writers(), e.Mode)
}

// of says which file was asked for.
func (e *Untrusted) of(file string) *Untrusted {
	e.File = file
	return e
}

func (e *Untrusted) writers() string {
	if e.Mode&0o002 != 0 {
		return "all users"
	}
	name := strconv.FormatUint(uint64(e.GID), 10)
	if g, err := user.LookupGroupId(name); err == nil {
		name = g.Name
	}
	return "the group " + name
}

// Mend is the command that makes it trustworthy, for a shell; its last word, the
// path, is not in it.
func (e *Untrusted) Mend() string {
	switch {
	case e.Why == Foreign && e.Link:
		return "chown -h root:"
	case e.Why == Foreign:
		return "chown root:"
	case e.Why == Listed:
		return "setfacl -b"
	case e.Mode&0o002 == 0:
		return "chmod g-w"
	}
	return "chmod go-w"
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return "the user " + u.Username
	}
	return "the user " + id
}
