package history

import "os"

// lock does nothing: a lock of Windows would keep others from reading, too. Two nodes of one name
// cannot run, since they have one control socket.
func lock(*os.File) error { return nil }
