package safefile

import "io/fs"

// Options say how a file is written.
type Options struct {
	// Mode is what a new file allows, less the umask. One that is replaced keeps
	// its owner and its mode, if it belongs to one of [Mine]; but if a new file
	// would allow nothing to others, neither does that one.
	Mode fs.FileMode
	// New has Write fail with fs.ErrExist if there is something of that name.
	New bool
	// Exactly is what the file is to be, whatever there is: a link is replaced,
	// too. Mode and New count for nothing then.
	Exactly *Attributes
}

// Attributes are whose a file is, and what it allows.
type Attributes struct {
	UID, GID int
	Mode     uint32 // as chmod(2) has it
}
